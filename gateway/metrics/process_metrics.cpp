// The process metrics that Prometheus expects, from /proc.
#include "metrics/process_metrics.h"

#include <fstream>
#include <string>

#include <dirent.h>
#include <libpq-fe.h>
#include <libwebsockets.h>
#include <spdlog/fmt/fmt.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "metrics/metrics.h"

namespace odoo_bus {

namespace {

const metrics::Family cpu("process_cpu_seconds_total", "User and system CPU time.", metrics::Type::counter);
const metrics::Family resident("process_resident_memory_bytes", "Resident memory size.",
                               metrics::Type::gauge);
const metrics::Family virtual_memory("process_virtual_memory_bytes", "Virtual memory size.",
                                     metrics::Type::gauge);
const metrics::Family open_fds("process_open_fds", "Number of open file descriptors.", metrics::Type::gauge);
const metrics::Family max_fds("process_max_fds", "Maximum number of open file descriptors.",
                              metrics::Type::gauge);
const metrics::Family start_time("process_start_time_seconds",
                                 "Start time of the process, in seconds since 1970.", metrics::Type::gauge);
const metrics::Family build("odoo_bus_build_info",
                            "Always 1; the labels are the versions of the gateway and of its libraries.",
                            metrics::Type::gauge, {"version", "libwebsockets", "libpq"});

const WallTime started = WallClock::now();

double seconds(const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

int count_descriptors() {
    int count = -3; // ".", "..", and the one that reads them
    if (DIR* const directory = opendir("/proc/self/fd")) {
        while (readdir(directory))
            ++count;
        closedir(directory);
    }
    return count;
}

} // namespace

void update_process_metrics() {
    rusage usage = {};
    getrusage(RUSAGE_SELF, &usage);
    cpu.with().set(seconds(usage.ru_utime) + seconds(usage.ru_stime));

    double total = 0, in_core = 0;
    std::ifstream("/proc/self/statm") >> total >> in_core;
    const auto page = static_cast<double>(sysconf(_SC_PAGESIZE));
    virtual_memory.with().set(total * page);
    resident.with().set(in_core * page);

    rlimit limit = {};
    getrlimit(RLIMIT_NOFILE, &limit);
    max_fds.with().set(static_cast<double>(limit.rlim_cur));
    open_fds.with().set(count_descriptors());
    start_time.with().set(static_cast<double>(microseconds(started)) / 1e6);

    const int pq = PQlibVersion();
    build.with({ODOO_BUS_VERSION, LWS_LIBRARY_VERSION, fmt::format("{}.{}", pq / 10000, pq % 10000)}).set(1);
}

} // namespace odoo_bus
