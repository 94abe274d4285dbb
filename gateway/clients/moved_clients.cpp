// Clients that have come from another gateway.
#include "clients/moved_clients.h"

namespace odoo_bus {

bool MovedClients::has_gone_on(uint64_t mover, Id last) {
    const std::lock_guard lock(mutex_);
    const auto [known, first] = lasts_.try_emplace(mover, last);
    if (!first)
        return known->second != last;
    order_.push_back(mover);
    if (order_.size() > MAX_MOVERS) {
        lasts_.erase(order_.front());
        order_.pop_front();
    }
    return false;
}

std::vector<std::pair<uint64_t, Id>> MovedClients::hand_over() {
    handed_over_ = true;
    const std::lock_guard lock(mutex_);
    std::vector<std::pair<uint64_t, Id>> moved_clients;
    for (const uint64_t mover : order_)
        moved_clients.emplace_back(mover, lasts_.at(mover));
    return moved_clients;
}

} // namespace odoo_bus
