// Completion of the command line in bash, zsh and fish, from the same tables as --help.
#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include <spdlog/fmt/fmt.h>

#include "commands/doctor/doctor_options.h"
#include "commands/status_options.h"
#include "commands/tail_options.h"
#include "commands/top_options.h"
#include "config/option_table.h"
#include "config/options_text.h"

namespace odoo_bus {

namespace {

struct Completed {
    std::string name;
    std::string help; // its first sentence, without the full stop
    bool takes_value = false;
    bool takes_path = false;
    std::vector<std::string> choices = {}; // its values, as far as they are known
};

struct Command {
    std::string name;
    std::string help;
    std::vector<Completed> options;
};

std::string first_sentence(std::string_view help) {
    const size_t end = help.find(". ");
    if (end != help.npos)
        help = help.substr(0, end);
    while (help.ends_with('.'))
        help.remove_suffix(1);
    return std::string(help);
}

bool names_a_path(std::string_view value) {
    return value == "FILE" || value == "DIR";
}

Completed completed(const OptionDefinition& definition) {
    const bool is_switch = definition.field.is_switch;
    return {.name = definition.name,
            .help = first_sentence(definition.help),
            .takes_value = !is_switch,
            .takes_path = names_a_path(definition.value),
            .choices = is_switch ? std::vector<std::string>() : definition.field.choices};
}

void add(std::vector<Completed>& options, const std::vector<CommandDefinition>& definitions) {
    for (const CommandDefinition& definition : definitions)
        if (!definition.help.empty())
            options.push_back({.name = definition.name,
                               .help = first_sentence(definition.help),
                               .takes_value = !definition.value.empty(),
                               .takes_path = names_a_path(definition.value)});
}

std::vector<Command> commands() {
    std::vector<Completed> gateway;
    for (const OptionDefinition& definition : option_table())
        gateway.push_back(completed(definition));
    std::vector<Command> all = {{"run", "Serve", gateway},
                                {"tail", "Print notifications as they arrive", {}},
                                {"status", "Print the state of a running gateway", gateway},
                                {"top", "Show what a running gateway does", gateway},
                                {"doctor", "Find what is wrong and how to fix it", gateway}};
    add(all[0].options, command_table());
    add(all[1].options, tail_table());
    add(all[2].options, status_table());
    add(all[3].options, top_table());
    add(all[4].options, doctor::doctor_table());
    return all;
}

std::string joined(const std::vector<std::string>& words) {
    std::string text;
    for (const std::string& word : words)
        text += (text.empty() ? "" : " ") + word;
    return text;
}

// Within single quotes of a shell. None of these texts is foreign; some hold an apostrophe.
std::string quoted(std::string_view text, std::string_view apostrophe) {
    std::string out = "'";
    for (const char c : text)
        if (c == '\'')
            out += apostrophe;
        else
            out += c;
    return out + "'";
}

constexpr std::string_view PRINTED = "Printed by odoo-bus-gateway --print-{}-completion.";

} // namespace

std::string bash_completion() {
    std::string text = "# " + fmt::format(PRINTED, "bash") + R"(
_odoo_bus_gateway() {
    local word=${COMP_WORDS[COMP_CWORD]} option=${COMP_WORDS[COMP_CWORD - 1]} command=run names values
    # readline takes the = of --option=value for a word.
    if [[ $word == = ]]; then word=
    elif [[ $option == = ]]; then option=${COMP_WORDS[COMP_CWORD - 2]}; fi
    [[ ${COMP_WORDS[1]} == @(run|tail|status|top|doctor) && $COMP_CWORD -gt 1 ]] && command=${COMP_WORDS[1]}
    case $command$option in
)";
    std::string names;
    for (const Command& command : commands()) {
        std::vector<std::string> words, paths, others;
        for (const Completed& option : command.options) {
            words.push_back("--" + option.name);
            if (option.takes_path)
                paths.push_back(command.name + "--" + option.name);
            else if (!option.choices.empty())
                text += fmt::format("    {}--{}) values={} ;;\n", command.name, option.name,
                                    quoted(joined(option.choices), ""));
            else if (option.takes_value)
                others.push_back(command.name + "--" + option.name);
        }
        const auto alternatives = [](const std::vector<std::string>& all) {
            std::string list;
            for (const std::string& each : all)
                list += (list.empty() ? "" : " | ") + each;
            return list;
        };
        if (!paths.empty())
            text += fmt::format("    {})\n        compopt -o filenames 2>/dev/null\n"
                                "        mapfile -t COMPREPLY < <(compgen -f -- \"$word\")\n"
                                "        return ;;\n",
                                alternatives(paths));
        if (!others.empty())
            text += fmt::format("    {}) return ;;\n", alternatives(others));
        names += fmt::format("    {}) names={} ;;\n", command.name, quoted(joined(words), ""));
    }
    return text + R"(    esac
    case $command in
)" + names +
           R"(    esac
    if [[ ! -v values ]]; then
        values=$names
        [[ $COMP_CWORD == 1 ]] && values+=" run tail status top doctor"
    fi
    mapfile -t COMPREPLY < <(compgen -W "$values" -- "$word")
}
complete -F _odoo_bus_gateway odoo-bus-gateway
)";
}

std::string zsh_completion() {
    std::string text = "#compdef odoo-bus-gateway\n# " + fmt::format(PRINTED, "zsh") +
                       "\n\nlocal command=run\nlocal -a options\n";
    std::string list;
    for (const Command& command : commands())
        list += fmt::format("    {}\n", quoted(command.name + ":" + command.help, "'\\''"));
    text += "local -a commands=(\n" + list + ")\n" + R"(
if (( CURRENT > 2 )) && [[ $words[2] == (run|tail|status|top|doctor) ]]; then
    command=$words[2]
    shift words
    (( CURRENT-- ))
fi
case $command in
)";
    for (const Command& command : commands()) {
        text += fmt::format("{})\n    options=(\n", command.name);
        for (const Completed& option : command.options) {
            std::string help;
            for (const char c : option.help)
                help += c == '[' || c == ']' || c == '\\' ? std::string("\\") + c : std::string(1, c);
            std::string action;
            if (option.takes_path)
                action = ":path:_files";
            else if (!option.choices.empty())
                action = ":value:(" + joined(option.choices) + ")";
            else if (option.takes_value)
                action = ":value: ";
            text += fmt::format(
                "        {}\n",
                quoted(fmt::format("*--{}{}[{}]{}", option.name, option.takes_value ? "=" : "", help, action),
                       "'\\''"));
        }
        text += "    ) ;;\n";
    }
    return text + R"(esac
if [[ $command == run ]] && (( CURRENT == 2 )) && [[ $words[CURRENT] != -* ]]; then
    _describe command commands
else
    _arguments $options
fi
)";
}

std::string fish_completion() {
    std::string text = "# " + fmt::format(PRINTED, "fish") + "\ncomplete -c odoo-bus-gateway -f\n";
    const std::vector<Command> all = commands();
    for (const Command& command : all)
        text += fmt::format("complete -c odoo-bus-gateway -n __fish_use_subcommand -a {} -d {}\n",
                            command.name, quoted(command.help, "\\'"));
    const std::string other = "not __fish_seen_subcommand_from tail status top doctor";
    for (const Command& command : all)
        for (const Completed& option : command.options)
            text += fmt::format(
                "complete -c odoo-bus-gateway -n {} -l {}{}{} -d {}\n",
                quoted(command.name == "run" ? other : "__fish_seen_subcommand_from " + command.name, ""),
                option.name, option.takes_path ? " -rF" : (option.takes_value ? " -x" : ""),
                option.choices.empty() ? "" : " -a " + quoted(joined(option.choices), ""),
                quoted(option.help, "\\'"));
    return text;
}

} // namespace odoo_bus
