// What happens in a database, as the process that reads it tells it: to its own service threads, and to
// another process that follows. All of them hear the same events in the same order.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "protocol/notification.h"

namespace odoo_bus {

namespace event {

// The database is known by name: clients may subscribe, and wait. Repeated when it can be read after LetGo.
struct Expect {};

// The database is read from now on, for the first time or from the start: no earlier position is known.
struct Begin {
    std::vector<BatchPtr> kept = {}; // can be replayed, in order
    Position head = 0;               // the last position before `kept`
    Id newest = 0;                   // the greatest id that was dispatched, or that stands in the table
    Position adopted_until = 0;      // up to here positions follow the table, not the order of dispatch
    bool missed = false;             // clients may have missed notifications for good
};

// The next notifications, without a hole.
struct Publish {
    BatchPtr batch = {};    // null: none
    Position keep_from = 0; // the oldest position that is kept
};

// PostgreSQL has lost these in a crash.
struct Lost {
    std::vector<Position> positions = {};
    Id newest = 0;
};

// Users of these partners have changed.
struct UsersChanged {
    std::set<int64_t> partners = {};
};

// Whether other gateways serve the database, so that a client may come from one of them.
struct Peers {
    bool exist = false;
};

// The database is to be copied, renamed or dropped: no connection to it may stay.
struct LetGo {};

// The database is not served any more: its clients are closed.
struct Forget {};

} // namespace event

// Its order is part of the bytes (database_event_bytes.h).
using DatabaseEvent = std::variant<event::Expect, event::Begin, event::Publish, event::Lost,
                                   event::UsersChanged, event::Peers, event::LetGo, event::Forget>;

} // namespace odoo_bus
