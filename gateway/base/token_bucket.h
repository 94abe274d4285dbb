// Token bucket: N per second, burst of 5 s.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "base/clock.h"

namespace odoo_bus {

class TokenBucket {
public:
    // Takes a token; false when there is none. `rate`: tokens per second; 0: any number.
    bool take(uint64_t rate, Monotonic now) {
        if (!rate)
            return true;
        const Duration each =
            std::max(Duration(std::chrono::seconds(1)) / static_cast<int64_t>(rate), Duration(1));
        const Monotonic full_at = std::max(full_at_, now) + each;
        if (full_at > now + BURST + each)
            return false;
        full_at_ = full_at;
        return true;
    }

    // No token was taken that has not come back.
    bool is_full(Monotonic now) const { return full_at_ <= now; }

private:
    static constexpr std::chrono::seconds BURST{5};
    Monotonic full_at_;
};

} // namespace odoo_bus
