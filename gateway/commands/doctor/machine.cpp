// The machine: the limit of open files, memory, the state directory.
#include "commands/doctor/groups.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include <spdlog/fmt/fmt.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/descriptor_limit.h"
#include "base/trusted_file.h"
#include "commands/metrics_request.h"

namespace odoo_bus::doctor {

namespace {

// The order of one database's notifications, and a second copy while it is rewritten.
constexpr uint64_t STATE_BYTES = 8 << 20;

constexpr uint64_t FEW_CONNECTIONS = 1'000;

// The limit of the running gateway if its metrics can be read, else of doctor itself.
void examine_descriptors(const DoctorOptions& options, Report& report) {
    const uint64_t needed = descriptors_needed(options.gateway.max_connections);
    rlimit limit = {};
    getrlimit(RLIMIT_NOFILE, &limit);
    uint64_t most = limit.rlim_max;
    std::string whose = "a process started here";
    if (!options.gateway.metrics_listen.empty()) {
        std::string problem;
        const auto answer = get_metrics(options.gateway, "/metrics", problem);
        constexpr std::string_view NAME = "\nprocess_max_fds ";
        const size_t found = answer ? answer->body().find(NAME) : std::string::npos;
        if (found != std::string::npos) {
            most = static_cast<uint64_t>(strtod(answer->body().c_str() + found + NAME.size(), nullptr));
            whose = "the running gateway";
        }
    }
    if (most >= needed)
        return report.ok("machine.descriptors", fmt::format("{} may have {} files open", whose, most));
    // The default of --max-connections is generous; a thousand must fit on any machine.
    const bool is_enough_for_some = most >= descriptors_needed(FEW_CONNECTIONS);
    report.add({"machine.descriptors", is_enough_for_some ? State::warning : State::failed,
                fmt::format("{} may have at most {} files open, and --max-connections {} needs {}", whose,
                            most, options.gateway.max_connections, needed),
                fmt::format("raise the hard limit to {} (LimitNOFILE=1024:{} in the unit, ulimit -Hn), or "
                            "lower --max-connections",
                            needed, needed)});
}

void examine_memory(const DoctorOptions& options, Report& report) {
    const uint64_t machine =
        static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
    const auto mebibytes = [](uint64_t bytes) { return bytes >> 20; };
    const std::string found = fmt::format("the machine has {} MiB, --max-memory is {} MiB",
                                          mebibytes(machine), mebibytes(options.gateway.max_memory));
    if (options.gateway.max_memory == 0)
        return report.warning("machine.memory", "--max-memory is 0: the gateway's memory is unlimited",
                              "set --max-memory to what the machine can spare");
    if (options.gateway.max_memory > machine)
        return report.warning("machine.memory", found, "set --max-memory to what the machine can spare");
    report.ok("machine.memory", found);
}

void examine_state(const DoctorOptions& options, Report& report) {
    const std::string& directory = options.gateway.state_dir;
    const char* const name = "machine.state-dir";
    if (directory.empty())
        return report.ok(name,
                         "no --state-dir: after a restart, clients that come back are sent all newer ids");
    struct stat status = {};
    if (stat(directory.c_str(), &status) != 0 || !S_ISDIR(status.st_mode))
        return report.failed(name, fmt::format("{} is no directory", directory),
                             "create it, owned by the gateway's user (StateDirectory= in the unit)");
    if (std::string problem; !open_own_directory(directory, problem, Judge::command))
        return report.failed(name, problem, "the gateway does not start until it is private");
    if (access(directory.c_str(), R_OK | W_OK | X_OK) != 0)
        return report.failed(name, fmt::format("{} cannot be written: {}", directory, strerror(errno)),
                             "make the gateway's user its owner, and run doctor as that user");
    struct statvfs space = {};
    if (statvfs(directory.c_str(), &space) == 0) {
        const uint64_t free = space.f_bavail * space.f_frsize;
        const uint64_t needed = STATE_BYTES * std::max<size_t>(options.gateway.databases.size(), 1);
        if (free < needed)
            return report.failed(
                name,
                fmt::format("{} has {} KiB left, and {} KiB are needed", directory, free >> 10, needed >> 10),
                "make room on that file system");
    }
    report.ok(name, fmt::format("{} is writable", directory));
}

} // namespace

void examine_machine(const DoctorOptions& options, Report& report) {
    examine_descriptors(options, report);
    examine_memory(options, report);
    examine_state(options, report);
}

} // namespace odoo_bus::doctor
