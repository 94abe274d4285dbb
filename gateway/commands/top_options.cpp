// The command line of `odoo-bus-gateway top`.
#include "commands/top_options.h"

#include <spdlog/fmt/fmt.h>

#include "commands/metrics_options.h"
#include "config/options_text.h"

namespace odoo_bus {

namespace {

std::string top_help() {
    return "odoo-bus-gateway top: shows what a running gateway does, again and again\n\n"
           "Usage: odoo-bus-gateway top [--config FILE] [OPTION...]\n\n"
           "It takes the gateway's own options (see odoo-bus-gateway --help), best its --config, and asks at "
           "the\nfirst --metrics-listen: clients, rates, latency, databases, Odoo's queue, the slowest "
           "clients "
           "and the\nbiggest channels. q or Ctrl-C ends it. Where the output is no terminal, it prints one "
           "screen.\n\nExit code: 0 if the gateway was ready at last, 1 if it was not or does not answer, 2 "
           "if the "
           "options are\nwrong. Besides the gateway's options:\n\n" +
           definitions_text(top_table());
}

} // namespace

const std::vector<CommandDefinition>& top_table() {
    static const std::vector<CommandDefinition> table = {
        {"interval", "SECONDS", "Time between two screens, of which rates are. Default 2."},
        {"once", "", "Print one screen, after one interval, and exit."},
        {"help", "", "Print this help, and exit.", 'h'},
    };
    return table;
}

std::variant<TopOptions, OptionsText, OptionsError>
parse_top_options(const std::vector<std::string>& arguments) {
    auto parsed = parse_metrics_options(arguments, "top", top_table(), top_help());
    if (const auto* text = std::get_if<OptionsText>(&parsed))
        return *text;
    if (const auto* error = std::get_if<OptionsError>(&parsed))
        return *error;
    auto& [gateway, own] = std::get<MetricsOptions>(parsed);
    TopOptions options{.gateway = std::move(gateway)};
    for (const auto& [name, value] : own) {
        if (name == "once") {
            options.once = true;
            continue;
        }
        int64_t seconds = 0;
        if (const std::string wrong = read_number<int64_t>(value, 1, 3'600, seconds); !wrong.empty())
            return OptionsError{fmt::format("--interval: {}", wrong)};
        options.interval = std::chrono::seconds(seconds);
    }
    return options;
}

} // namespace odoo_bus
