// What users read about the options.
#pragma once

#include <string>

namespace odoo_bus {

std::string options_help();         // --help
std::string sample_configuration(); // --print-config; deploy/odoo-bus-gateway.conf
std::string options_markdown();     // docs/gateway-options.md
std::string manual_page();          // odoo-bus-gateway(1)

} // namespace odoo_bus
