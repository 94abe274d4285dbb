// So many a second, and at the most 5 seconds' worth at once.
#pragma once

#include <algorithm>
#include <cstdint>

namespace odoo_bus {

class TokenBucket {
public:
    // False when it is too soon for one more. `a_second`: 0: any number.
    bool take(uint64_t a_second, int64_t now_us) {
        if (!a_second)
            return true;
        const int64_t each = std::max<int64_t>(1'000'000 / static_cast<int64_t>(a_second), 1);
        const int64_t rested_at = std::max(rested_at_us_, now_us) + each;
        if (rested_at > now_us + BURST_US + each)
            return false;
        rested_at_us_ = rested_at;
        return true;
    }

    // 5 seconds' worth may be taken at once.
    bool is_rested(int64_t now_us) const { return rested_at_us_ <= now_us; }

private:
    static constexpr int64_t BURST_US = 5'000'000;
    int64_t rested_at_us_ = 0;
};

} // namespace odoo_bus
