// A row of bus_bus as a client is to get it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/clock.h"
#include "protocol/id.h"

namespace odoo_bus {

// Made where rows are read, by database/row_reader.h: that validates the message, once, so that nothing after
// it looks into JSON.
struct Row {
    Id id;
    std::string channel = {};
    std::string element = {}; // as in Notification; empty: the row cannot be delivered
    uint64_t fingerprint = 0; // of the transaction that wrote it, and of its content
    WallTime written = {};    // its create_date, the begin of its transaction; 1970: it has none
    Monotonic dispatched = {};
    std::optional<Duration> delay = {}; // from `written` to `dispatched`
    bool ahead = false; // its id stands above the sequence's last value: it was chosen, not drawn
};

} // namespace odoo_bus
