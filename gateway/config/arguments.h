// Splits a command line into options and words; what they mean is decided elsewhere.
//
// An option is --name, --name=VALUE, --name VALUE or -n VALUE; everything after -- is a word. Names are never
// abbreviated: getopt_long() accepts any unambiguous beginning, so that a new option breaks an old command
// line.
#pragma once

#include <charconv>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <spdlog/fmt/fmt.h>

#include "base/log.h"

namespace odoo_bus {

// An option of a command line, and what --help says about it.
struct CommandDefinition {
    std::string name;
    std::string value; // what it takes, "FILE"; empty: nothing
    std::string help;  // sentences; empty: it is not shown
    char letter = 0;   // 'h' for -h; 0: none
};

struct Syntax {
    enum class Value { none, optional, required }; // optional: a switch, which alone means "true"

    std::string name;
    Value value;
    char letter = 0;
};

// What each definition takes.
std::vector<Syntax> syntax_of(const std::vector<CommandDefinition>& definitions);

struct Arguments {
    struct Option {
        std::string name; // without dashes
        std::string value;
    };

    std::vector<Option> options; // in the order in which they were given
    std::vector<std::string> words;

    bool has(std::string_view name) const;
};

// `help`: the command that lists the options. Nothing, and why in `problem`, when the line is not understood.
std::optional<Arguments> split_arguments(const std::vector<std::string>& arguments,
                                         const std::vector<Syntax>& syntax, std::string_view help,
                                         std::string& problem);

// Empty, or what is wrong with the value.
template <class Number>
std::string read_number(std::string_view text, Number least, Number most, Number& number) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error == std::errc() && end == text.data() + text.size() && number >= least && number <= most)
        return {};
    return fmt::format("\"{}\" is not a number from {} to {}", log::printable(text), least, most);
}

} // namespace odoo_bus
