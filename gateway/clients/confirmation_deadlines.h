// The moments until which sessions wait for confirmations of their grants: each CONFIRM_WITHIN after it was
// added.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <utility>

#include <uv.h>

#include "base/clock.h"
#include "base/timer.h"

namespace odoo_bus {

class ConfirmationDeadlines {
public:
    ConfirmationDeadlines(uv_loop_t* loop, std::function<void(uint64_t session)> on_overdue)
        : on_overdue_(std::move(on_overdue)), timer_(loop) {}

    void add(uint64_t session, Monotonic now);

private:
    void start(Monotonic now);
    void expire();

    const std::function<void(uint64_t)> on_overdue_;
    std::deque<std::pair<Monotonic, uint64_t>> deadlines_; // ascending
    Timer timer_;
};

} // namespace odoo_bus
