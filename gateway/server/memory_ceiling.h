// Keeps the process below --max-memory: above it no client is admitted, then the connections that hold the
// most memory are closed.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>

#include "base/clock.h"

namespace odoo_bus {

class MemoryCeiling {
public:
    // `shed`: closes connections that hold about this many bytes; called by check().
    MemoryCeiling(uint64_t bytes, std::function<void(uint64_t)> shed)
        : bytes_(bytes), shed_(std::move(shed)) {}

    void configure(uint64_t bytes) { bytes_ = bytes; }
    // To be called about ten times a second, from one thread.
    void check(Monotonic now);
    // From any thread.
    bool is_reached() const { return reached_.load(std::memory_order_relaxed); }

private:
    std::atomic<uint64_t> bytes_; // 0: no ceiling
    const std::function<void(uint64_t)> shed_;
    std::atomic<bool> reached_ = false;
    Monotonic trimmed_at_, shed_at_;
};

// Memory of this process that is resident, in bytes.
uint64_t resident_memory();

} // namespace odoo_bus
