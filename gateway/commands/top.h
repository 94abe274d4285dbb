// odoo-bus-gateway top: a running gateway on one screen, drawn again and again.
#pragma once

#include <string>
#include <vector>

namespace odoo_bus {

// `arguments` are the gateway's own, whose --metrics-listen is asked, and those of top_table(). Returns the
// exit code: 0 only if the gateway was ready when it was asked last.
int run_top(const std::vector<std::string>& arguments);

} // namespace odoo_bus
