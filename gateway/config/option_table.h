// Every option, described once.
#pragma once

#include <string>
#include <string_view>
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
    // Its default is right for nearly every site: tests and rare loads change it.
    bool advanced = false;

    // As texts, one for each line of a configuration file.
    std::vector<std::string> default_values() const { return field.get(Options{}); }
};

// The options below one heading: the ordinary ones first, then the advanced ones.
struct Section {
    std::string title; // "Limits", "Advanced: limits"
    std::vector<const OptionDefinition*> options;
};
std::vector<Section> option_sections(bool with_advanced);

// A former option. It is still accepted, and does nothing but warn, so that old configurations stay valid.
struct RetiredOption {
    std::string name;
    std::string derived; // what its value is now: "twice --odoo-timeout"
};

std::string environment_name(std::string_view option); // "ODOO_BUS_PING_INTERVAL"

const std::vector<OptionDefinition>& option_table();
const std::vector<RetiredOption>& retired_table();
// Options that stand only on the command line, and are no part of what a configuration file says.
const std::vector<CommandDefinition>& command_table();
// Of all three tables.
const std::vector<Syntax>& command_line_syntax();

} // namespace odoo_bus
