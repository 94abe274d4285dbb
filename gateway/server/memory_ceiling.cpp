// Keeps the process below --max-memory.
#include "server/memory_ceiling.h"

#include <cstdio>

#include <malloc.h>
#include <unistd.h>

#include "base/log.h"
#include "metrics/metrics.h"

namespace odoo_bus {

namespace {

const metrics::Family reached_metric("odoo_bus_memory_ceiling_reached",
                                     "1 while new connections are refused because of --max-memory, else 0.",
                                     metrics::Type::gauge);

// What was freed is given back to the system at most this often: it takes a moment.
constexpr int64_t TRIM_EVERY_US = 2'000'000;
// How long what was shed may take to be freed before more is.
constexpr int64_t SHED_EVERY_US = 500'000;

} // namespace

uint64_t resident_memory() {
    unsigned long long total = 0, resident = 0;
    if (FILE* const file = fopen("/proc/self/statm", "re")) {
        if (fscanf(file, "%llu %llu", &total, &resident) != 2)
            resident = 0;
        fclose(file);
    }
    return resident * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

void MemoryCeiling::check(int64_t now_us) {
    const uint64_t ceiling = bytes_;
    if (ceiling == 0) {
        reached_ = false;
        return;
    }
    uint64_t resident = resident_memory();
    if (resident > ceiling - ceiling / 20 && now_us - trimmed_us_ > TRIM_EVERY_US) {
        trimmed_us_ = now_us;
        malloc_trim(0);
        resident = resident_memory();
    }
    const bool before = reached_;
    // It ends a little below, so that it does not begin again with the next connection.
    reached_ = resident > ceiling || (before && resident > ceiling - ceiling / 20);
    reached_metric.with().set(reached_);
    if (reached_ && !before)
        log::warning(
            "memory is at its ceiling ({} MiB of --max-memory {} MiB): nobody new is admitted, and those who "
            "hold the most are closed",
            resident >> 20, ceiling >> 20);
    else if (before && !reached_)
        log::info("memory is below its ceiling again ({} MiB)", resident >> 20);
    if (resident > ceiling && now_us - shed_us_ > SHED_EVERY_US) {
        shed_us_ = now_us;
        shed_(resident - ceiling + ceiling / 20);
    }
}

} // namespace odoo_bus
