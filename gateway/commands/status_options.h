// The command line of `odoo-bus-gateway status`.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "config/arguments.h"
#include "config/options.h"

namespace odoo_bus {

struct StatusOptions {
    Options gateway; // at least one --metrics-listen
    bool json = false;
    std::optional<std::string> channel = {}; // whose clients are asked for
};

const std::vector<CommandDefinition>& status_table();
std::variant<StatusOptions, OptionsText, OptionsError>
parse_status_options(const std::vector<std::string>& arguments);

} // namespace odoo_bus
