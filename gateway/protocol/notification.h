// A notification as the gateway keeps it: encoded once, immutable, shared by all threads.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "protocol/id.h"

namespace odoo_bus {

// A place in the order in which this gateway dispatched one database's notifications; the first is 1.
using Position = uint64_t;

struct Notification {
    Id id;
    Position position;
    uint64_t fingerprint; // of the row: tells whether another row stands under the same id
    Monotonic dispatched; // estimated for what an earlier process dispatched; ascends with the position
    bool ahead;           // its id stood above the sequence's last value: it was chosen, not drawn
    std::string channel;  // as stored in bus_bus.channel
    std::string element;  // {"id":10,"message":{...}}: one element of a frame's array
    // From the begin of the transaction that wrote it to its dispatch, as the row's create_date says by the
    // clock of the database server: may be negative.
    std::optional<Duration> delay = {};

    // What it costs to keep, in bytes.
    size_t bytes() const { return sizeof *this + channel.size() + element.size(); }
};

// Notifications of one read, in dispatch order, positions without a hole.
using Batch = std::vector<Notification>;
using BatchPtr = std::shared_ptr<const Batch>;

} // namespace odoo_bus
