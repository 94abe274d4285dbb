// Keeps the process below --max-memory: above it nobody new is admitted, then those are closed who hold the
// most.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>

namespace odoo_bus {

class MemoryCeiling {
public:
    // `shed`: closes connections that hold about so many bytes; called by check().
    MemoryCeiling(uint64_t bytes, std::function<void(uint64_t)> shed)
        : bytes_(bytes), shed_(std::move(shed)) {}

    void configure(uint64_t bytes) { bytes_ = bytes; }
    // About ten times a second, from one thread.
    void check(int64_t now_us);
    // From any thread.
    bool is_reached() const { return reached_.load(std::memory_order_relaxed); }

private:
    std::atomic<uint64_t> bytes_; // 0: no ceiling
    const std::function<void(uint64_t)> shed_;
    std::atomic<bool> reached_ = false;
    int64_t trimmed_us_ = 0;
    int64_t shed_us_ = 0;
};

// Memory of this process that is resident, in bytes.
uint64_t resident_memory();

} // namespace odoo_bus
