// The command line of `odoo-bus-gateway status`.
#include "commands/status_options.h"

#include "base/utf8.h"
#include "commands/metrics_options.h"
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
        {"channel", "NAME",
         "Print who is subscribed to this channel instead: all their number, and 100 of them. NAME is a "
         "text, "
         "like orders, or the channel as stored, like [\"mydb\",\"orders\"]. With --json as the gateway "
         "answers."},
        {"help", "", "Print this help, and exit.", 'h'},
    };
    return table;
}

std::variant<StatusOptions, OptionsText, OptionsError>
parse_status_options(const std::vector<std::string>& arguments) {
    auto parsed = parse_metrics_options(arguments, "status", status_table(), status_help());
    if (const auto* text = std::get_if<OptionsText>(&parsed))
        return *text;
    if (const auto* error = std::get_if<OptionsError>(&parsed))
        return *error;
    auto& [gateway, own] = std::get<MetricsOptions>(parsed);
    StatusOptions options{.gateway = std::move(gateway)};
    for (const auto& [name, value] : own) {
        if (name == "json")
            options.json = true;
        else
            options.channel = value;
    }
    if (options.channel && (options.channel->empty() || !is_utf8(*options.channel)))
        return OptionsError{"--channel: give the name of a channel, in UTF-8"};
    return options;
}

} // namespace odoo_bus
