// Keeps the memory of the process below --max-memory.
#include "server/memory_ceiling.h"

#include <algorithm>
#include <utility>

#include "base/cpu_time.h"
#include "base/log.h"
#include "base/process_memory.h"
#include "metrics/metrics.h"

namespace odoo_bus {

namespace {

using namespace std::chrono_literals;

const metrics::Family
    memory("odoo_bus_memory_bytes",
           "Proportional memory (PSS) of the process, of which --max-memory is the ceiling.",
           metrics::Type::gauge);
const metrics::Family held_memory("odoo_bus_client_memory_bytes",
                                  "Memory that is held for clients, as it is accounted by address.",
                                  metrics::Type::gauge);
const metrics::Family reached_metric("odoo_bus_memory_ceiling_reached",
                                     "1 while memory is at --max-memory, so that clients that hold the most "
                                     "are closed, else 0.",
                                     metrics::Type::gauge);

constexpr Duration MEASURE_EVERY = 1s;
// So much of the limit is always left to clients: if they hold less, it is not they who take the memory.
constexpr uint64_t LEFT_TO_CLIENTS = 16;
// How long what was closed may take to be free before more is closed.
constexpr Duration GIVE_WAY_EVERY = 500ms;

// Until what takes so much of a processor may be done again: it is a fiftieth of one at most.
std::chrono::nanoseconds pause_between(Duration shortest, std::chrono::nanoseconds takes) {
    return std::max<std::chrono::nanoseconds>(shortest, takes * 50);
}

} // namespace

// Between two measurements the resident memory tells, less what was found to be shared.
uint64_t MemoryCeiling::measure(Monotonic now) {
    const uint64_t resident = resident_memory();
    if (now - measured_at_ < pause_between(MEASURE_EVERY, measure_takes_))
        return resident - std::min(resident, shared_);
    const auto before = thread_cpu_time();
    const uint64_t used = proportional_memory();
    measured_at_ = MonotonicClock::now();
    measure_takes_ = thread_cpu_time() - before;
    shared_ = resident - std::min(resident, used);
    memory.with().set(static_cast<double>(used));
    return used;
}

void MemoryCeiling::check(Monotonic now) {
    held_memory.with().set(static_cast<double>(accounts_.held()));
    if (ceiling_ == 0) {
        accounts_.set_budget(UINT64_MAX);
        is_full_ = false;
        return set_reached(false, 0);
    }
    uint64_t used = measure(now);
    // What was ended may be free, and not returned yet.
    const bool gives_way =
        (used > limit() || has_shed_) && now - gave_way_at_ > pause_between(GIVE_WAY_EVERY, way_takes_);
    if (gives_way) {
        const auto before = thread_cpu_time();
        gave_way_at_ = now;
        has_shed_ = false;
        return_memory();
        measured_at_ = {};
        used = measure(now);
        way_takes_ = thread_cpu_time() - before;
    }
    const uint64_t held = accounts_.held();
    if (used <= limit()) {
        // Not all of what is free: an allocation takes more than was asked for.
        accounts_.set_budget(std::max(held + (limit() - used) / 4 * 3, limit() / LEFT_TO_CLIENTS));
        is_full_ = false;
        set_reached(used > limit() - ceiling_ / 20 && is_reached_, used);
        if (history_is_trimmed_ && used < ceiling_ / 5 * 4) {
            history_is_trimmed_ = false;
            actions_.release_history();
        }
    } else {
        accounts_.set_budget(std::max(held, limit() / LEFT_TO_CLIENTS));
        set_reached(true, used);
        if (gives_way)
            return give_way(used); // and no more before the next look
    }
    accounts_.resume();
}

void MemoryCeiling::give_way(uint64_t used) {
    const uint64_t bytes = used - limit() + ceiling_ / 20;
    if (accounts_.held() > used / 3)
        return shed(bytes);
    history_is_trimmed_ = true;
    actions_.trim_history(bytes);
    is_full_ = used > ceiling_;
}

void MemoryCeiling::budget_is_exceeded(Monotonic now) {
    if (ceiling_ == 0)
        return;
    const uint64_t held = accounts_.held(), budget = accounts_.budget();
    set_reached(true, measure(now));
    shed(held - std::min(held, budget) + budget / 10);
}

void MemoryCeiling::shed(uint64_t bytes) {
    const uint64_t held = accounts_.held();
    const uint64_t floor = limit() / LEFT_TO_CLIENTS, less = std::min(bytes, held - std::min(held, floor));
    const auto largest = accounts_.lower(less);
    is_full_ = largest.empty();
    if (largest.empty())
        return;
    // What is ended leaves holes that not everything fits into, until memory is returned: nobody may add as
    // much as that before the next look.
    accounts_.set_budget(std::max(held - less, floor));
    static log::Limited lines("clients that hold the most memory", 1);
    lines.write(log::Level::warning,
                "closing connections of {} address{}, as memory is at --max-memory: those of {} hold {} KiB, "
                "all clients together {} KiB",
                largest.size(), largest.size() == 1 ? "" : "es",
                largest.front().account->address() ? largest.front().account->name()
                                                   : "clients whom a proxy does not name",
                largest.front().held >> 10, held >> 10);
    has_shed_ = true;
    actions_.shed();
}

void MemoryCeiling::set_reached(bool reached, uint64_t used) {
    reached_metric.with().set(reached);
    if (std::exchange(is_reached_, reached) == reached)
        return;
    if (reached)
        log::warning("memory is at its ceiling ({} MiB of --max-memory {} MiB): the clients that hold the "
                     "most are closed",
                     used >> 20, ceiling_ >> 20);
    else
        log::info("memory is below its ceiling again ({} MiB)", used >> 20);
}

} // namespace odoo_bus
