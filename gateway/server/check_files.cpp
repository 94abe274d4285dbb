// The files that the options name.
#include "server/check_files.h"

#include <filesystem>

#include <spdlog/fmt/fmt.h>

#include "auth/auth_backend.h"
#include "base/trusted_file.h"
#include "http/bearer_token.h"
#include "postgres/conninfo.h"

namespace odoo_bus {

namespace {

std::string check_sockets(const std::vector<Listener>& listeners, const char* option) {
    for (const Listener& each : listeners)
        if (each.is_unix())
            if (const std::string problem = judge_directory_of(each.path); !problem.empty())
                return fmt::format("{} {}: {}", option, each.text(), problem);
    return {};
}

std::string check_connections(const Options& options) {
    std::string problem;
    for (const std::string& conninfo : options.databases) {
        database_of(conninfo, problem); // reads the file of services
        if (problem.empty())
            problem = judge_passfile(conninfo);
        if (!problem.empty())
            return "--database: " + problem;
    }
    problem = judge_passfile(options.hub_database == "none" ? "" : options.hub_database);
    return problem.empty() ? "" : "--hub-database: " + problem;
}

std::string check_state_dir(const std::string& path) {
    std::error_code ignored;
    std::string problem;
    // One that is missing is made.
    if (path.empty() || !std::filesystem::exists(path, ignored) ||
        open_own_directory(path, problem, Judge::command))
        return {};
    return "--state-dir: " + problem;
}

std::string check_metrics_token(const std::string& path) {
    std::string problem;
    return path.empty() || !read_bearer_token(path, problem).empty() ? "" : "--metrics-token-file " + problem;
}

} // namespace

std::string check_files(const Options& options) {
    for (const std::string& problem :
         {check_connections(options), check_auth(options), check_state_dir(options.state_dir),
          check_sockets(options.listen, "--listen"),
          check_sockets(options.metrics_listen, "--metrics-listen"),
          check_metrics_token(options.metrics_token_file)})
        if (!problem.empty())
            return problem;
    return {};
}

std::vector<std::string> warn_of_files(const Options& options) {
    std::vector<std::string> warnings = warn_of_auth(options);
    const auto add = [&warnings](const char* option, const std::string& conninfo) {
        for (const std::string& each : unreadable_files(conninfo))
            warnings.push_back(fmt::format("{}: {}", option, each));
    };
    for (const std::string& conninfo : options.databases)
        add("--database", conninfo);
    if (options.hub_database != "none")
        add("--hub-database", options.hub_database);
    return warnings;
}

} // namespace odoo_bus
