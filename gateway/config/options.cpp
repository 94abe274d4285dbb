// The configuration: command line over environment over file.
#include "config/options.h"

#include <algorithm>
#include <cstdlib>
#include <map>

#include <CLI/CLI.hpp>
#include <spdlog/fmt/fmt.h>

#include "config/config_file.h"
#include "config/option_table.h"
#include "config/options_text.h"
#include "metrics/metrics.h"

namespace odoo_bus {

namespace {

constexpr const char* SEE_HELP = "see odoo-bus-gateway --help";

// The values of one option in one source, and how to name the place: "" on the command line.
struct Given {
    std::vector<std::string> values;
    std::string place;
};
using Source = std::map<std::string, Given>; // by the option's name

struct CommandLine {
    Source options;
    std::map<std::string, std::vector<std::string>> commands; // config, check-config, ...
};

std::optional<OptionsError> read_command_line(std::vector<std::string> arguments, CommandLine& line) {
    if (!arguments.empty() && arguments.front() == "run")
        arguments.erase(arguments.begin());
    CLI::App app;
    app.set_help_flag();
    app.allow_extras();
    std::vector<std::string> unused;
    const auto add = [&](const std::string& name, bool is_switch) {
        if (is_switch)
            app.add_flag(name == "help" ? "-h,--help" : "--" + name);
        else
            app.add_option("--" + name, unused)->allow_extra_args(false);
    };
    for (const OptionDefinition& definition : option_table())
        add(definition.name, definition.field.is_switch);
    for (const CommandDefinition& command : command_table())
        add(command.name, command.value.empty());
    add("print-options-markdown", true);
    add("print-metrics-markdown", true);
    add("print-man", true);
    // CLI11 would take the next argument as the value.
    for (const std::string& argument : arguments)
        if (argument.starts_with("--") && argument.ends_with('='))
            return OptionsError{fmt::format("{}: a value is missing; {}",
                                            log::printable(argument.substr(0, argument.size() - 1)),
                                            SEE_HELP)};
    try {
        std::reverse(arguments.begin(), arguments.end());
        app.parse(arguments);
    } catch (const CLI::ArgumentMismatch& mismatch) {
        const std::string what = mismatch.what();
        return OptionsError{what.substr(0, what.find(':')) + ": a value is missing; " + SEE_HELP};
    } catch (const CLI::ParseError& error) {
        return OptionsError{fmt::format("the command line is not understood ({}); {}",
                                        log::printable(error.what()), SEE_HELP)};
    }
    if (const auto extras = app.remaining(); !extras.empty())
        return OptionsError{fmt::format("{}: there is no such option or subcommand; {}",
                                        log::printable(extras.front()), SEE_HELP)};
    for (const CLI::Option* option : app.get_options()) {
        if (option->count() == 0)
            continue;
        const std::string name = option->get_lnames().front();
        const auto is_option = [&](const OptionDefinition& definition) { return definition.name == name; };
        if (std::any_of(option_table().begin(), option_table().end(), is_option))
            line.options[name] = {option->results(), ""};
        else
            line.commands[name] = option->results();
    }
    return std::nullopt;
}

Source read_environment(const Environment& environment) {
    Source source;
    for (const OptionDefinition& definition : option_table()) {
        const char* variable = environment(definition.environment_name().c_str());
        if (!variable || *variable == '\0')
            continue;
        Given& given = source[definition.name];
        given.place = "environment variable " + definition.environment_name();
        std::string_view left = variable;
        while (definition.field.is_repeatable && left.find(';') != left.npos) {
            given.values.emplace_back(left.substr(0, left.find(';')));
            left.remove_prefix(left.find(';') + 1);
        }
        given.values.emplace_back(left);
    }
    return source;
}

std::optional<OptionsError> read_file(const std::string& path, Source& source) {
    std::vector<ConfigLine> lines;
    std::string error;
    if (!read_config_file(path, lines, error))
        return OptionsError{"--config: " + error};
    for (const ConfigLine& line : lines) {
        const auto is_named = [&](const OptionDefinition& candidate) { return candidate.name == line.name; };
        const auto definition = std::find_if(option_table().begin(), option_table().end(), is_named);
        const std::string place = fmt::format("{} line {}", path, line.line);
        if (definition == option_table().end())
            return OptionsError{fmt::format("{}: there is no option \"{}\"; {}", place,
                                            log::printable(line.name.substr(0, 64)), SEE_HELP)};
        Given& given = source[line.name];
        if (!given.values.empty() && !definition->field.is_repeatable)
            return OptionsError{
                fmt::format("--{}: given again ({}); keep one of the lines", line.name, place)};
        given.values.push_back(line.value);
        given.place = place;
    }
    return std::nullopt;
}

std::optional<OptionsError> apply(const OptionDefinition& definition, const Given& given, Options& options) {
    const Field& field = definition.field;
    const std::string place = given.place.empty() ? "" : fmt::format(" ({})", given.place);
    if (given.values.size() > 1 && !field.is_repeatable)
        return OptionsError{fmt::format("--{}: given more than once; give it once", definition.name)};
    const std::string wrong = field.set(options, given.values);
    if (wrong.empty())
        return std::nullopt;
    // The value of a repeatable option is quoted by its field, if at all.
    const bool is_quoted = !field.is_secret && !field.is_repeatable;
    const std::string value = is_quoted ? fmt::format("\"{}\" ", log::printable(given.values.front())) : "";
    return OptionsError{fmt::format("--{}: {}{}{}", definition.name, value, wrong, place)};
}

// What no option can judge alone.
std::optional<OptionsError> judge(const Options& options) {
    if (options.databases.empty())
        return OptionsError{"--database: none is given; give at least one, like --database dbname=mydb"};
    if (!options.database_match.empty() && options.databases.size() > 1)
        return OptionsError{"--database-match: it looks for databases on one server; give --database once"};
    const auto remote = std::find_if(options.listen.begin(), options.listen.end(),
                                     [](const Listener& listener) { return !listener.is_local(); });
    if (options.auth == Auth::open && !options.allow_open && remote != options.listen.end())
        return OptionsError{fmt::format(
            "--listen: with --auth open everyone who reaches {} could read every channel; listen at "
            "127.0.0.1, or add --allow-open",
            remote->text())};
    if (options.auth == Auth::token && options.token_keys.empty())
        return OptionsError{"--token-keys: none is given; --auth token needs the file with the keys"};
    if (options.auth == Auth::sql && options.sql_function.empty())
        return OptionsError{"--auth-sql-function: none is given; --auth sql needs the name of a function"};
    if (!options.presence.empty() && options.auth != Auth::token && options.auth != Auth::sql)
        return OptionsError{
            "--presence: only --auth token and --auth sql know who somebody is; leave it out, "
            "or change --auth"};
    return std::nullopt;
}

} // namespace

Environment process_environment() {
    return [](const char* name) -> const char* { return std::getenv(name); };
}

Parsed parse_options(const std::vector<std::string>& arguments, const Environment& environment) {
    CommandLine line;
    if (auto error = read_command_line(arguments, line))
        return *error;
    if (line.commands.count("help"))
        return OptionsText{options_help()};
    if (line.commands.count("version"))
        return OptionsText{"odoo-bus-gateway " ODOO_BUS_VERSION "\n"};
    if (line.commands.count("print-config"))
        return OptionsText{sample_configuration()};
    if (line.commands.count("print-options-markdown"))
        return OptionsText{options_markdown()};
    if (line.commands.count("print-man"))
        return OptionsText{manual_page()};
    if (line.commands.count("print-metrics-markdown"))
        return OptionsText{metrics::markdown()};

    Source variables = read_environment(environment);
    Source file;
    const char* config_variable = environment("ODOO_BUS_CONFIG");
    std::string config = config_variable ? config_variable : "";
    if (line.commands.count("config")) {
        if (line.commands["config"].size() > 1)
            return OptionsError{"--config: given more than once; give it once"};
        config = line.commands["config"].front();
    }
    if (!config.empty())
        if (auto error = read_file(config, file))
            return *error;

    Options options;
    options.check_config = line.commands.count("check-config") != 0;
    for (const OptionDefinition& definition : option_table()) {
        for (const Source* source : {&line.options, &variables, &file}) {
            const auto given = source->find(definition.name);
            if (given == source->end())
                continue;
            if (auto error = apply(definition, given->second, options))
                return *error;
            break;
        }
    }
    if (auto error = judge(options))
        return *error;
    return options;
}

std::variant<Reload, OptionsError> reload_options(const Options& running,
                                                  const std::vector<std::string>& arguments,
                                                  const Environment& environment) {
    const Parsed parsed = parse_options(arguments, environment);
    if (const auto* error = std::get_if<OptionsError>(&parsed))
        return *error;
    const auto* wanted = std::get_if<Options>(&parsed);
    if (!wanted)
        return OptionsError{"the command line asks for a text instead of options; give options"};
    Reload reload{running, {}, {}};
    for (const OptionDefinition& definition : option_table()) {
        const auto before = definition.field.get(running);
        const auto after = definition.field.get(*wanted);
        if (before == after)
            continue;
        if (!definition.reloads) {
            reload.needs_restart.push_back("--" + definition.name);
            continue;
        }
        definition.field.set(reload.options, after);
        reload.changed.push_back(
            fmt::format("--{}: {} (was {})", definition.name, after.front(), before.front()));
    }
    return reload;
}

} // namespace odoo_bus
