// Amounts that are lowered to one level.
#include "base/common_level.h"

#include <algorithm>
#include <functional>

namespace odoo_bus {

uint64_t common_level(std::vector<uint64_t> amounts, uint64_t less) {
    if (less == 0)
        return UINT64_MAX;
    std::ranges::sort(amounts, std::greater());
    uint64_t sum = 0;
    for (size_t n = 0; n < amounts.size();) {
        sum += amounts[n++];
        if (sum <= less)
            continue;
        const uint64_t level = (sum - less) / n;
        if (n == amounts.size() || level >= amounts[n])
            return level;
    }
    return 0;
}

} // namespace odoo_bus
