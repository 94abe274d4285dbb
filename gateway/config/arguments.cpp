// Splits a command line into options and words.
#include "config/arguments.h"

#include <algorithm>

namespace odoo_bus {

std::vector<Syntax> syntax_of(const std::vector<CommandDefinition>& definitions) {
    std::vector<Syntax> syntax;
    for (const CommandDefinition& definition : definitions)
        syntax.push_back({definition.name,
                          definition.value.empty() ? Syntax::Value::none : Syntax::Value::required,
                          definition.letter});
    return syntax;
}

bool Arguments::has(std::string_view name) const {
    return std::ranges::any_of(options, [name](const Option& option) { return option.name == name; });
}

std::optional<Arguments> split_arguments(const std::vector<std::string>& arguments,
                                         const std::vector<Syntax>& syntax, std::string_view help,
                                         std::string& problem) {
    Arguments result;
    for (auto argument = arguments.begin(); argument != arguments.end(); ++argument) {
        if (*argument == "--") {
            result.words.insert(result.words.end(), argument + 1, arguments.end());
            break;
        }
        if (argument->size() < 2 || argument->front() != '-') {
            result.words.push_back(*argument);
            continue;
        }
        const size_t equals = argument->find('=');
        const std::string option = argument->substr(0, equals);
        const auto known = std::ranges::find_if(syntax, [&option](const Syntax& each) {
            return option == "--" + each.name ||
                   (each.letter != 0 && option == std::string{'-', each.letter});
        });
        const auto wrong = [&](const std::string& name, std::string_view why) {
            problem = fmt::format("{}: {}; see {}", log::printable(name), why, help);
            return std::nullopt;
        };
        if (known == syntax.end())
            return wrong(*argument, "there is no such option");
        std::string value = known->value == Syntax::Value::optional ? "true" : "";
        if (equals != argument->npos) {
            value = argument->substr(equals + 1);
            if (known->value == Syntax::Value::none)
                return wrong(option, "it takes no value");
            if (value.empty())
                return wrong(option, "a value is missing");
        } else if (known->value == Syntax::Value::required) {
            if (argument + 1 == arguments.end())
                return wrong(option, "a value is missing");
            value = *++argument;
        }
        result.options.push_back({known->name, std::move(value)});
    }
    return result;
}

} // namespace odoo_bus
