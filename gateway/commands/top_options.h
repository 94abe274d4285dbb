// The command line of `odoo-bus-gateway top`.
#pragma once

#include <chrono>
#include <string>
#include <variant>
#include <vector>

#include "config/arguments.h"
#include "config/options.h"

namespace odoo_bus {

struct TopOptions {
    Options gateway; // at least one --metrics-listen
    std::chrono::seconds interval{2};
    bool once = false;
};

const std::vector<CommandDefinition>& top_table();
std::variant<TopOptions, OptionsText, OptionsError>
parse_top_options(const std::vector<std::string>& arguments);

} // namespace odoo_bus
