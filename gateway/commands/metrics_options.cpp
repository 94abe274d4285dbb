// The command line of a command that asks a running gateway.
#include "commands/metrics_options.h"

#include <algorithm>

#include <spdlog/fmt/fmt.h>

#include "config/option_table.h"

namespace odoo_bus {

std::variant<MetricsOptions, OptionsText, OptionsError>
parse_metrics_options(const std::vector<std::string>& arguments, const std::string& command,
                      const std::vector<CommandDefinition>& table, const std::string& help) {
    std::vector<Syntax> syntax = syntax_of(table);
    const std::vector<Syntax>& of_gateway = command_line_syntax();
    syntax.insert(syntax.end(), of_gateway.begin(), of_gateway.end());
    std::string problem;
    const auto given =
        split_arguments(arguments, syntax, fmt::format("odoo-bus-gateway {} --help", command), problem);
    if (!given)
        return OptionsError{problem};
    MetricsOptions options;
    std::vector<std::string> rest = given->words;
    for (const Arguments::Option& option : given->options) {
        if (option.name == "help")
            return OptionsText{help};
        if (std::ranges::find(table, option.name, &CommandDefinition::name) != table.end()) {
            options.own.push_back(option);
            continue;
        }
        const auto takes = std::ranges::find(of_gateway, option.name, &Syntax::name)->value;
        rest.push_back("--" + option.name + (takes == Syntax::Value::none ? "" : "=" + option.value));
    }
    // parse_options() requires a --database, which is not needed here.
    rest.insert(rest.end(), {"--database", "dbname=any"});
    const Parsed parsed = parse_options(rest);
    if (const auto* text = std::get_if<OptionsText>(&parsed))
        return *text;
    if (const auto* error = std::get_if<OptionsError>(&parsed))
        return *error;
    options.gateway = std::get<Options>(parsed);
    if (options.gateway.metrics_listen.empty())
        return OptionsError{
            fmt::format("--metrics-listen is not set: give {} the configuration of the gateway "
                        "(--config), in which it is",
                        command)};
    return options;
}

} // namespace odoo_bus
