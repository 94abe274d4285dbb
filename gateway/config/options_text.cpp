// What users read about the options: --help, the sample configuration file, the page of the manual.
#include "config/options_text.h"

#include <spdlog/fmt/fmt.h>

#include "config/option_table.h"

namespace odoo_bus {

namespace {

constexpr size_t WIDTH = 78;

// `text` in lines of at most WIDTH, each begun with `indent`.
std::string wrapped(std::string_view text, std::string_view indent) {
    std::string out;
    size_t column = 0;
    while (!text.empty()) {
        const size_t space = text.find(' ');
        const std::string_view word = text.substr(0, space);
        text.remove_prefix(space == text.npos ? text.size() : space + 1);
        if (column != 0 && column + 1 + word.size() > WIDTH) {
            out += '\n';
            column = 0;
        }
        out += column == 0 ? indent : " ";
        out += word;
        column += (column == 0 ? indent.size() : 1) + word.size();
    }
    return out + "\n";
}

std::string joined(const std::vector<std::string>& values) {
    std::string text;
    for (const std::string& value : values)
        text += (text.empty() ? "" : ", ") + value;
    return text;
}

std::string usage_of(std::string_view name, std::string_view value) {
    return fmt::format("--{}{}{}", name, value.empty() ? "" : " ", value);
}

std::string facts(const OptionDefinition& definition) {
    const std::string value = joined(definition.default_values());
    std::string text = value.empty() ? "" : "Default " + value + ". ";
    if (!definition.field.range.empty() && !definition.field.is_switch)
        text += "Values " + definition.field.range + ". ";
    return text + (definition.reloads ? "" : "Needs a restart.");
}

} // namespace

std::string definitions_text(const std::vector<CommandDefinition>& definitions) {
    std::string text;
    for (const auto& [name, value, help, letter] : definitions)
        if (!help.empty())
            text +=
                fmt::format("  {}{}\n", letter ? fmt::format("-{}, ", letter) : "", usage_of(name, value)) +
                wrapped(help, "        ");
    return text;
}

std::string options_help(bool all) {
    std::string text =
        "odoo-bus-gateway: notifications from PostgreSQL's bus_bus to WebSocket clients\n\n"
        "Usage:\n"
        "  odoo-bus-gateway [run] [OPTION...]    serve; `run` may be left out\n"
        "  odoo-bus-gateway tail URL CHANNEL...  print notifications as they arrive\n"
        "                                        (see odoo-bus-gateway tail --help)\n"
        "  odoo-bus-gateway status [OPTION...]   print the state of a running gateway\n"
        "                                        (asked at its --metrics-listen)\n"
        "  odoo-bus-gateway top [OPTION...]      show what a running gateway does\n"
        "                                        (see odoo-bus-gateway top --help)\n"
        "  odoo-bus-gateway doctor [OPTION...]   find what is wrong and how to fix it\n"
        "                                        (see odoo-bus-gateway doctor --help)\n\n" +
        wrapped("Each option can also be set by an environment variable (--log-level: ODOO_BUS_LOG_LEVEL; "
                "several values are separated by \";\") or by a line of the configuration file (log-level = "
                "debug). The command line takes precedence over the environment, and the environment over "
                "the file. SIGHUP reads them again.",
                "");
    for (const Section& section : option_sections(all)) {
        text += fmt::format("\n{}:\n", section.title);
        for (const OptionDefinition* definition : section.options)
            text += "  " + usage_of(definition->name, definition->value) + "\n" +
                    wrapped(definition->help + " " + facts(*definition), "        ");
    }
    return text + "\nOther:\n" + definitions_text(command_table());
}

std::string sample_configuration() {
    std::string text =
        "# Configuration of odoo-bus-gateway, for its option --config. Every option is listed with its\n"
        "# default, as a comment. This file is printed by odoo-bus-gateway --print-config.\n"
        "#\n"
        "# A value extends to the end of its line and is taken literally, without quotes. The command\n"
        "# line and the environment take precedence over this file. SIGHUP reads it again.\n"
        "# odoo-bus-gateway-minimal.conf has the few lines that an ordinary Odoo needs.\n";
    for (const Section& section : option_sections(true)) {
        text += fmt::format("\n# ----- {} -----\n", section.title);
        for (const OptionDefinition* definition : section.options) {
            text += "\n" + wrapped(definition->help, "# ");
            if (!definition->field.range.empty())
                text += "# Values: " + definition->field.range + "\n";
            if (!definition->reloads)
                text += "# Needs a restart.\n";
            std::vector<std::string> values = definition->default_values();
            if (values.empty())
                values.emplace_back();
            for (const std::string& value : values)
                text += fmt::format("#{} ={}{}\n", definition->name, value.empty() ? "" : " ", value);
        }
    }
    return text;
}

std::string options_markdown() {
    std::string text =
        "<!-- Printed by odoo-bus-gateway --print-options-markdown: change gateway/config/option_table.cpp "
        "instead. -->\n"
        "# Options of odoo-bus-gateway\n\n"
        "Each option can be set on the command line, by an environment variable, or in the file that "
        "`--config` names (the\nsame name without dashes, `name = value`). The command line takes "
        "precedence over the environment, the environment over\nthe file. In the environment variable of "
        "an option that may be repeated, values are separated by `;`; an empty variable\ncounts as not set. "
        "SIGHUP reads all of them again, and changes what does not need a restart.\n\n"
        "The defaults of the advanced options are right for nearly every site. `odoo-bus-gateway --help` "
        "leaves them out, and\n`--help-all` has them.\n";
    for (const Section& section : option_sections(true)) {
        text += fmt::format("\n## {}\n", section.title);
        for (const OptionDefinition* definition : section.options) {
            const std::string value = joined(definition->default_values());
            text += fmt::format("\n### `{}`\n\n{}\n\n", usage_of(definition->name, definition->value),
                                definition->help);
            text += fmt::format("| Default | Values | Environment | Change |\n| --- | --- | --- | --- |\n"
                                "| {} | {} | `{}` | {} |\n",
                                value.empty() ? "none" : "`" + value + "`",
                                definition->field.range.empty() ? "see above" : definition->field.range,
                                environment_name(definition->name),
                                definition->reloads ? "by SIGHUP" : "needs a restart");
        }
    }
    text += "\n## Only on the command line\n\n| Option | |\n| --- | --- |\n";
    for (const CommandDefinition& command : command_table())
        if (!command.help.empty())
            text += fmt::format("| `{}` | {} |\n", usage_of(command.name, command.value), command.help);
    text += "\n## Former options\n\nThey are accepted with a warning, and have no effect.\n\n"
            "| Option | Its value is now |\n| --- | --- |\n";
    for (const RetiredOption& retired : retired_table())
        text += fmt::format("| `--{}` | {} |\n", retired.name, retired.derived);
    return text;
}

} // namespace odoo_bus
