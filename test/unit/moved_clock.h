// Moves one of the gateway's clocks as long as it lives: MovedClock<WallClock> later(2h);
#pragma once

#include "base/clock.h"

namespace odoo_bus {

template <class Clock>
class MovedClock {
public:
    explicit MovedClock(Duration by = {}) { move(by); }
    ~MovedClock() { Clock::moved_by -= moved_.count(); }
    MovedClock(const MovedClock&) = delete;
    MovedClock& operator=(const MovedClock&) = delete;

    // Forward, or back when it is negative.
    void move(Duration by) {
        moved_ += by;
        Clock::moved_by += by.count();
    }

private:
    Duration moved_{};
};

} // namespace odoo_bus
