// The two clocks of the gateway. Their time points do not convert into each other.
//
// Monotonic: timers, time-outs, rates and ages. It never jumps, and means nothing to another machine or after
// a reboot. WallTime: what rows, files, cookies and tokens carry, in microseconds since 1970 (UTC). The
// administrator, NTP or a resumed virtual machine may set it forward or back at any moment.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>

namespace odoo_bus {

using Duration = std::chrono::microseconds;

// A clock of <chrono> whose now() unit tests can move; see test/unit/moved_clock.h.
template <class Source>
struct MovableClock {
    using duration = Duration;
    using rep = duration::rep;
    using period = duration::period;
    using time_point = std::chrono::time_point<MovableClock>;
    static constexpr bool is_steady = Source::is_steady;

    static time_point now() noexcept {
        const auto time = std::chrono::duration_cast<duration>(Source::now().time_since_epoch());
        return time_point(time + duration(moved_by.load(std::memory_order_relaxed)));
    }

    static inline std::atomic<rep> moved_by = 0; // in microseconds
};

using MonotonicClock = MovableClock<std::chrono::steady_clock>;
using WallClock = MovableClock<std::chrono::system_clock>;
using Monotonic = MonotonicClock::time_point;
using WallTime = WallClock::time_point;

// Microseconds since 1970 (UTC), as files and messages hold them.
constexpr int64_t microseconds(WallTime time) {
    return time.time_since_epoch().count();
}
constexpr WallTime wall_time(int64_t microseconds_since_1970) {
    return WallTime(Duration(microseconds_since_1970));
}

// A date that another process wrote down, on this one's monotonic clock, if the machine's clock was not set
// since; never later than now.
inline Monotonic monotonic_at(WallTime then) {
    return MonotonicClock::now() - std::max(Duration::zero(), WallClock::now() - then);
}

inline int64_t now_us() {
    return microseconds(WallClock::now());
}

} // namespace odoo_bus
