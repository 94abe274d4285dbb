// What is remembered of a dispatched notification: enough to find its row again, and to see that it is the
// same.
#pragma once

#include "ledger/id_set.h"
#include "protocol/notification.h"

namespace odoo_bus {

struct Dispatched {
    Id id;
    uint64_t fingerprint;
    int64_t dispatched_us;
    bool ahead = false; // dispatched without moving max_seen
    bool operator==(const Dispatched&) const = default;
};

} // namespace odoo_bus
