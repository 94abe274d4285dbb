// A notification as the gateway keeps it: encoded once, immutable, shared by all threads.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "ledger/id_set.h"

namespace odoo_bus {

// A place in the order in which this gateway dispatched one database's notifications; the first is 1.
using Position = uint64_t;

struct Notification {
    Id id;
    Position position;
    uint64_t fingerprint;   // of the row: tells whether another row stands under the same id
    int64_t dispatched_us;  // when it was dispatched, microseconds since 1970
    bool ahead;             // its id stood above the sequence's last value: somebody chose it
    std::string channel;    // as stored in bus_bus.channel
    std::string element;    // {"id":10,"message":{...}}: one element of a frame's array
    int64_t written_us = 0; // the begin of the transaction that wrote it; 0: not known

    // What it costs to keep, in bytes.
    size_t bytes() const { return sizeof *this + channel.size() + element.size(); }
};

// Notifications of one read, in dispatch order, positions without a hole.
using Batch = std::vector<Notification>;
using BatchPtr = std::shared_ptr<const Batch>;

} // namespace odoo_bus
