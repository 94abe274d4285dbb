// Positions in ascending order.
#include "clients/positions.h"

#include <algorithm>
#include <cstddef>

namespace odoo_bus {

void Positions::pop_front() {
    ++first_;
    if (first_ * 2 > positions_.size()) {
        positions_.erase(positions_.begin(), positions_.begin() + static_cast<std::ptrdiff_t>(first_));
        first_ = 0;
    }
}

void Positions::remove(Position position) {
    const auto begin = positions_.begin() + static_cast<std::ptrdiff_t>(first_);
    const auto found = std::lower_bound(begin, positions_.end(), position);
    if (found != positions_.end() && *found == position)
        positions_.erase(found);
}

std::span<const Position> Positions::from(Position position) const {
    const auto begin = positions_.begin() + static_cast<std::ptrdiff_t>(first_);
    return {std::lower_bound(begin, positions_.end(), position), positions_.end()};
}

} // namespace odoo_bus
