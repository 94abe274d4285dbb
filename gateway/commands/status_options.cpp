// The command line of `odoo-bus-gateway status`.
#include "commands/status_options.h"

#include <algorithm>

#include "config/options_text.h"

namespace odoo_bus {

namespace {

std::string status_help() {
    return "odoo-bus-gateway status: prints the state of a running gateway\n\n"
           "Usage: odoo-bus-gateway status [--config FILE] [OPTION...]\n\n"
           "It takes the gateway's own options (see odoo-bus-gateway --help), best its --config, and asks at "
           "the\nfirst --metrics-listen. Exit code: 0 if the gateway is ready, 1 if it is not ready or does "
           "not answer,\n2 if the options are wrong. Besides the gateway's options:\n\n" +
           definitions_text(status_table());
}

} // namespace

const std::vector<CommandDefinition>& status_table() {
    static const std::vector<CommandDefinition> table = {
        {"json", "", "Print one JSON object: ready, reasons, and each metric with its samples."},
        {"help", "", "Print this help, and exit.", 'h'},
    };
    return table;
}

std::variant<StatusOptions, OptionsText, OptionsError>
parse_status_options(const std::vector<std::string>& arguments) {
    StatusOptions options;
    std::vector<std::string> rest;
    for (const std::string& argument : arguments) {
        if (argument == "--help" || argument == "-h")
            return OptionsText{status_help()};
        if (argument == "--json")
            options.json = true;
        else
            rest.push_back(argument);
    }
    // parse_options() requires a --database, which status does not need.
    rest.insert(rest.end(), {"--database", "dbname=any"});
    const Parsed parsed = parse_options(rest);
    if (const auto* text = std::get_if<OptionsText>(&parsed))
        return *text;
    if (const auto* problem = std::get_if<OptionsError>(&parsed))
        return *problem;
    options.gateway = std::get<Options>(parsed);
    if (options.gateway.metrics_listen.empty())
        return OptionsError{"--metrics-listen is not set: give status the configuration of the gateway "
                            "(--config), in which it is"};
    return options;
}

} // namespace odoo_bus
