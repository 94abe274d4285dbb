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

// How often freed memory is returned to the system: that takes a moment.
constexpr std::chrono::seconds TRIM_EVERY{2};
// How long closed connections may take to free their memory before more are closed.
constexpr std::chrono::milliseconds SHED_EVERY{500};

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

void MemoryCeiling::check(Monotonic now) {
    const uint64_t ceiling = bytes_;
    if (ceiling == 0) {
        reached_ = false;
        return;
    }
    uint64_t resident = resident_memory();
    if (resident > ceiling - ceiling / 20 && now - trimmed_at_ > TRIM_EVERY) {
        trimmed_at_ = now;
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
    if (resident > ceiling && now - shed_at_ > SHED_EVERY) {
        shed_at_ = now;
        shed_(resident - ceiling + ceiling / 20);
    }
}

} // namespace odoo_bus
