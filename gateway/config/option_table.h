// Every option, described once.
#pragma once

#include <string>
#include <vector>

#include "config/arguments.h"
#include "config/option_values.h"

namespace odoo_bus {

struct OptionDefinition {
    std::string name;    // "ping-interval": --ping-interval, ODOO_BUS_PING_INTERVAL
    std::string value;   // what it takes, "SECONDS"; empty for a switch
    std::string section; // heading
    std::string help;    // sentences
    bool reloads;        // SIGHUP changes it
    Field field;

    std::string environment_name() const;
    // As texts, one for each line of a configuration file.
    std::vector<std::string> default_values() const { return field.get(Options{}); }
};

const std::vector<OptionDefinition>& option_table();
// Options that stand only on the command line, and are no part of what a configuration file says.
const std::vector<CommandDefinition>& command_table();
// Of both tables.
const std::vector<Syntax>& command_line_syntax();

} // namespace odoo_bus
