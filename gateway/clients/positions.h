// Positions in ascending order: added at the end, and taken from the front.
#pragma once

#include <span>
#include <vector>

#include "protocol/notification.h"

namespace odoo_bus {

class Positions {
public:
    void push_back(Position position) { positions_.push_back(position); }
    void pop_front();
    void remove(Position position);
    bool empty() const { return first_ == positions_.size(); }
    std::span<const Position> from(Position position) const;

private:
    std::vector<Position> positions_;
    size_t first_ = 0;
};

} // namespace odoo_bus
