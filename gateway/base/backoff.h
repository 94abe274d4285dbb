// How long to wait before the next try: doubled each time, from 100 ms to 5 s, and never in step with others.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <random>

namespace odoo_bus {

class Backoff {
public:
    // The waiting time after another failure: between half of the bound and all of it. `least`: the bound is
    // not lower this time.
    std::chrono::milliseconds next(std::chrono::milliseconds least = {}) {
        bound_ = std::max(std::clamp(bound_ * 2, FIRST, LAST), least);
        static thread_local std::minstd_rand random{std::random_device{}()};
        const int64_t bound = bound_.count();
        return std::chrono::milliseconds(std::uniform_int_distribution<int64_t>(bound / 2, bound)(random));
    }
    // A try has succeeded.
    void reset() { bound_ = {}; }

private:
    static constexpr std::chrono::milliseconds FIRST{100}, LAST{5'000};

    std::chrono::milliseconds bound_{};
};

// The waiting time after `milliseconds`, the last one; 0: there was none.
inline uint64_t next_backoff(uint64_t milliseconds) {
    return std::clamp<uint64_t>(milliseconds * 2, 100, 5000);
}

// Between half of it and all of it.
inline uint64_t with_jitter(uint64_t milliseconds) {
    static thread_local std::minstd_rand random{std::random_device{}()};
    return std::uniform_int_distribution<uint64_t>(milliseconds / 2, milliseconds)(random);
}

} // namespace odoo_bus
