// The limit of open files.
#include "base/descriptor_limit.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <sys/resource.h>

#include "base/log.h"

namespace odoo_bus {

namespace {

// Databases, Odoo, files, and connections that are not admitted yet.
constexpr uint64_t BESIDES = 1'000;

} // namespace

uint64_t descriptors_needed(uint64_t connections) {
    return connections + BESIDES;
}

void fit_descriptor_limit(uint64_t connections) {
    const rlim_t needed = descriptors_needed(connections);
    rlimit limit = {};
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= needed)
        return;
    limit.rlim_cur = std::min(needed, limit.rlim_max);
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        log::warning("the limit of open files cannot be raised to {}: {}", limit.rlim_cur, strerror(errno));
    if (limit.rlim_cur < needed)
        log::warning(
            "no more than {} files can be open, which is not enough for --max-connections {}: raise the "
            "limit (LimitNOFILE, ulimit -Hn) to {}",
            limit.rlim_cur, connections, needed);
}

} // namespace odoo_bus
