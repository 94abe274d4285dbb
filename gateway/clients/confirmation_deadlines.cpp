// The moments until which sessions wait for confirmations of their grants.
#include "clients/confirmation_deadlines.h"

#include "auth/authorizer.h"

namespace odoo_bus {

void ConfirmationDeadlines::add(uint64_t session, Monotonic now) {
    deadlines_.emplace_back(now + CONFIRM_WITHIN, session);
    if (deadlines_.size() == 1)
        start(now);
}

void ConfirmationDeadlines::start(Monotonic now) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadlines_.front().first - now);
    timer_.start(static_cast<uint64_t>(std::max<int64_t>(left.count(), 1)), [this] { expire(); });
}

void ConfirmationDeadlines::expire() {
    const Monotonic now = MonotonicClock::now();
    while (!deadlines_.empty() && deadlines_.front().first <= now) {
        const uint64_t session = deadlines_.front().second;
        deadlines_.pop_front();
        on_overdue_(session);
    }
    if (!deadlines_.empty())
        start(now);
}

} // namespace odoo_bus
