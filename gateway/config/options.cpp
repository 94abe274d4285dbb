// Reads the configuration from its three sources.
#include "config/options.h"

#include <algorithm>
#include <cstdlib>
#include <map>

#include <spdlog/fmt/fmt.h>
#include <sys/stat.h>

#include "config/config_file.h"
#include "config/connection_string.h"
#include "config/option_table.h"
#include "config/options_text.h"
#include "metrics/metrics.h"

namespace odoo_bus {

namespace {

constexpr const char* HELP = "odoo-bus-gateway --help";

// What some options print instead of running the gateway.
constexpr std::pair<const char*, std::string (*)()> TEXTS[] = {
    {"help", [] { return options_help(); }},
    {"help-all", [] { return options_help(true); }},
    {"version", [] { return std::string("odoo-bus-gateway " ODOO_BUS_VERSION "\n"); }},
    {"print-config", sample_configuration},
    {"print-options-markdown", options_markdown},
    {"print-man", manual_page},
    {"print-bash-completion", bash_completion},
    {"print-zsh-completion", zsh_completion},
    {"print-fish-completion", fish_completion},
    {"print-metrics-markdown", metrics::markdown},
};

// The values of one option in one source. `place` names the source in messages; "": the command line.
struct Given {
    std::vector<std::string> values;
    std::string place;
};
using Source = std::map<std::string, Given>; // by the option's name

Source read_command_line(const Arguments& arguments) {
    Source source;
    for (const auto& [name, value] : arguments.options)
        source[name].values.push_back(value);
    return source;
}

Source read_environment(const Environment& environment) {
    Source source;
    const auto read = [&](const std::string& option, bool is_repeatable) {
        const std::string name = environment_name(option);
        const char* variable = environment(name.c_str());
        if (!variable || *variable == '\0')
            return;
        Given& given = source[option];
        given.place = "environment variable " + name;
        std::string_view left = variable;
        while (is_repeatable && left.find(';') != left.npos) {
            given.values.emplace_back(left.substr(0, left.find(';')));
            left.remove_prefix(left.find(';') + 1);
        }
        given.values.emplace_back(left);
    };
    for (const OptionDefinition& definition : option_table())
        read(definition.name, definition.field.is_repeatable);
    for (const RetiredOption& retired : retired_table())
        read(retired.name, false);
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
        const bool is_retired = std::ranges::count(retired_table(), line.name, &RetiredOption::name) != 0;
        if (definition == option_table().end() && !is_retired)
            return OptionsError{fmt::format("{}: there is no option \"{}\"; see {}", place,
                                            log::printable(line.name.substr(0, 64)), HELP)};
        Given& given = source[line.name];
        if (!given.values.empty() && !is_retired && !definition->field.is_repeatable)
            return OptionsError{
                fmt::format("--{}: given again ({}); keep one of the lines", line.name, place)};
        given.values.push_back(line.value);
        given.place = place;
    }
    return std::nullopt;
}

std::string in_brackets(const std::string& place) {
    return place.empty() ? "" : fmt::format(" ({})", place);
}

std::optional<OptionsError> apply(const OptionDefinition& definition, const Given& given, Options& options) {
    const Field& field = definition.field;
    const std::string place = in_brackets(given.place);
    if (given.values.size() > 1 && !field.is_repeatable)
        return OptionsError{fmt::format("--{}: given more than once; give it once", definition.name)};
    const std::string wrong = field.set(options, given.values);
    if (wrong.empty())
        return std::nullopt;
    // The field quotes the value of a repeatable option, if at all.
    const bool is_quoted = !field.is_secret && !field.is_repeatable;
    const std::string value = is_quoted ? fmt::format("\"{}\" ", log::printable(given.values.front())) : "";
    return OptionsError{fmt::format("--{}: {}{}{}", definition.name, value, wrong, place)};
}

// Checks that concern several options.
std::optional<OptionsError> judge(const Options& options) {
    if (options.databases.empty())
        return OptionsError{"--database: none is given; give at least one, like --database dbname=mydb"};
    if (!options.database_match.empty() && options.databases.size() > 1)
        return OptionsError{"--database-match: databases are found on one server; give --database once"};
    const auto remote = std::find_if(options.listen.begin(), options.listen.end(),
                                     [](const Listener& listener) { return !listener.is_local(); });
    if (options.auth == Auth::open && !options.allow_open && remote != options.listen.end())
        return OptionsError{fmt::format(
            "--listen: with --auth open every client that reaches {} could read every channel; listen on "
            "127.0.0.1, or add --allow-open",
            remote->text())};
    if (options.auth == Auth::token && options.token_keys.empty())
        return OptionsError{"--token-keys: none is given; --auth token needs the file with the keys"};
    if (options.auth == Auth::sql && options.sql_function.empty())
        return OptionsError{"--auth-sql-function: none is given; --auth sql needs the name of a function"};
    if (!options.presence.empty() && options.auth != Auth::token && options.auth != Auth::sql)
        return OptionsError{"--presence: members are known only with --auth token and --auth sql; leave it "
                            "out, or change --auth"};
    return std::nullopt;
}

// Other users of the machine see the command line of a process, and what is in a file that they can read.
void warn_of_passwords(const Source& line, const Source& file, const std::string& path, Options& options) {
    const auto has_password = [](const Source& source, const char* name) {
        const auto found = source.find(name);
        return found != source.end() && std::ranges::any_of(found->second.values, holds_password);
    };
    for (const char* name : {"database", "hub-database"}) {
        if (has_password(line, name))
            options.warnings.push_back(
                fmt::format("--{} has a password on the command line, which other users of the machine see; "
                            "put it into the configuration file or {}, or name it by passfile=, service= or "
                            "the environment variable PGPASSFILE",
                            name, environment_name(name)));
        struct stat status = {};
        if (has_password(file, name) && stat(path.c_str(), &status) == 0 && (status.st_mode & S_IROTH) != 0)
            options.warnings.push_back(
                fmt::format("--config: {} has a password, and other users can read it; chmod 640", path));
    }
}

} // namespace

Environment process_environment() {
    return [](const char* name) -> const char* { return std::getenv(name); };
}

Parsed parse_options(const std::vector<std::string>& arguments, const Environment& environment) {
    std::string problem;
    const auto given = split_arguments(arguments, command_line_syntax(), HELP, problem);
    if (!given)
        return OptionsError{problem};
    for (size_t i = 0; i < given->words.size(); ++i)
        if (i > 0 || given->words[i] != "run")
            return OptionsError{fmt::format("{}: there is no such option or subcommand; see {}",
                                            log::printable(given->words[i]), HELP)};
    for (const auto& [name, print] : TEXTS)
        if (given->has(name))
            return OptionsText{print()};

    const Source line = read_command_line(*given);
    const Source variables = read_environment(environment);
    Source file;
    const char* config_variable = environment("ODOO_BUS_CONFIG");
    std::string config = config_variable ? config_variable : "";
    if (const auto named = line.find("config"); named != line.end()) {
        if (named->second.values.size() > 1)
            return OptionsError{"--config: given more than once; give it once"};
        config = named->second.values.front();
    }
    if (!config.empty())
        if (auto error = read_file(config, file))
            return *error;

    const std::initializer_list<const Source*> sources = {&line, &variables, &file};
    Options options;
    options.check_config = given->has("check-config");
    for (const OptionDefinition& definition : option_table()) {
        for (const Source* source : sources) {
            const auto found = source->find(definition.name);
            if (found == source->end())
                continue;
            if (auto error = apply(definition, found->second, options))
                return *error;
            break;
        }
    }
    for (const RetiredOption& retired : retired_table())
        for (const Source* source : sources)
            if (const auto found = source->find(retired.name); found != source->end())
                options.warnings.push_back(
                    fmt::format("--{} is no longer an option, its value is {}; remove it{}", retired.name,
                                retired.derived, in_brackets(found->second.place)));
    warn_of_passwords(line, file, config, options);
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
        return OptionsError{"the command line asks for a text instead of a run"};
    Reload reload{running, {}, {}};
    reload.options.warnings = wanted->warnings;
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
