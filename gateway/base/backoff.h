// How long to wait before the next try: longer each time, and never in step with others.
#pragma once

#include <algorithm>
#include <cstdint>
#include <random>

namespace odoo_bus {

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
