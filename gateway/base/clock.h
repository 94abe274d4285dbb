// The time of day, in microseconds since 1970 (UTC).
#pragma once

#include <chrono>
#include <cstdint>

namespace odoo_bus {

inline int64_t now_us() {
    using namespace std::chrono;
    return duration_cast<microseconds>(system_clock::now().time_since_epoch()).count();
}

} // namespace odoo_bus
