// The command line of a command that asks a running gateway at its --metrics-listen: options of its own,
// among those of the gateway.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "config/arguments.h"
#include "config/options.h"

namespace odoo_bus {

struct MetricsOptions {
    Options gateway;                    // at least one --metrics-listen
    std::vector<Arguments::Option> own; // of the command's table, as they were given
};

// `command`: "status"; `help`: what --help prints.
std::variant<MetricsOptions, OptionsText, OptionsError>
parse_metrics_options(const std::vector<std::string>& arguments, const std::string& command,
                      const std::vector<CommandDefinition>& table, const std::string& help);

} // namespace odoo_bus
