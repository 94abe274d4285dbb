// Keeps the memory of the process below --max-memory.
//
// By its proportional memory (PSS) it sets the budget of what is held for peers (MemoryAccounts), which holds
// between two looks. Near the ceiling, what takes the larger part gives way: what is held for the peers that
// hold the most, or, when that is less than a third of all, the oldest of the histories. Only when no peer
// holds more than an ordinary one is nobody new admitted.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>

#include "base/clock.h"
#include "http/memory_account.h"

namespace odoo_bus {

class MemoryCeiling {
public:
    struct Actions {
        std::function<void()> shed;                       // end what accounts hold that exceed
        std::function<void(uint64_t bytes)> trim_history; // free so much of the histories
        std::function<void()> release_history;            // they may grow again
    };

    // `bytes`: 0 is no ceiling.
    MemoryCeiling(uint64_t bytes, MemoryAccounts& accounts, Actions actions)
        : ceiling_(bytes), accounts_(accounts), actions_(std::move(actions)) {}

    // --- from the thread of the accounts ---

    // About ten times a second.
    void check(Monotonic now);
    // The budget of the accounts is exceeded.
    void budget_is_exceeded(Monotonic now);

    // --- from any thread ---

    void configure(uint64_t bytes) { ceiling_ = bytes; }
    // Nobody new can be admitted.
    bool is_full() const { return is_full_.load(std::memory_order_relaxed); }

private:
    uint64_t limit() const { return ceiling_ - ceiling_ / 20; }
    uint64_t measure(Monotonic now);
    void give_way(uint64_t used);
    void shed(uint64_t bytes);
    void set_reached(bool reached, uint64_t used);

    std::atomic<uint64_t> ceiling_;
    MemoryAccounts& accounts_;
    const Actions actions_;
    std::atomic<bool> is_full_ = false;
    bool is_reached_ = false;
    bool history_is_trimmed_ = false;
    bool has_shed_ = false; // since memory was last returned
    uint64_t shared_ = 0;   // of the resident memory, the part that others are counted for
    Monotonic measured_at_; // when that was found
    Monotonic gave_way_at_;
    std::chrono::nanoseconds measure_takes_{}, way_takes_{}; // of the processor
};

} // namespace odoo_bus
