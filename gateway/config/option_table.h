// Every option, described once.
#pragma once

#include <string>
#include <vector>

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

// Options that stand only on the command line, and are no part of what a configuration file says.
struct CommandDefinition {
    std::string name;
    std::string value;
    std::string help;
};

const std::vector<OptionDefinition>& option_table();
const std::vector<CommandDefinition>& command_table();

} // namespace odoo_bus
