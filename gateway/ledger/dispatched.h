// What is remembered of a dispatched notification: enough to find its row again, and to see that it is the
// same.
#pragma once

#include "base/clock.h"
#include "ledger/id_set.h"
#include "protocol/notification.h"

namespace odoo_bus {

struct Dispatched {
    Id id;
    uint64_t fingerprint;
    WallTime dispatched;
    bool ahead = false; // dispatched without moving max_seen
    bool operator==(const Dispatched&) const = default;
};

} // namespace odoo_bus
