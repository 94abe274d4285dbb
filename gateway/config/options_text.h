// What users read about the options.
#pragma once

#include <string>
#include <vector>

#include "config/arguments.h"

namespace odoo_bus {

std::string options_help(bool all = false); // --help, --help-all
std::string sample_configuration();         // --print-config; deploy/odoo-bus-gateway.conf
std::string options_markdown();             // docs/gateway-options.md
std::string manual_page();                  // odoo-bus-gateway(1)
std::string bash_completion();              // to be sourced by bash, from where it finds completions
std::string zsh_completion();               // to be named _odoo-bus-gateway
std::string fish_completion();              // to be named odoo-bus-gateway.fish

// As in --help: each option, and below it its help.
std::string definitions_text(const std::vector<CommandDefinition>& definitions);

} // namespace odoo_bus
