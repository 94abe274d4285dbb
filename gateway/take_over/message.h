// What two processes of one gateway tell each other while one takes over from the other, and its bytes.
//
// database/succession.h describes when each message is sent.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "ledger/checkpoint.h"
#include "protocol/database_event.h"

namespace odoo_bus {

namespace take_over {

// --- of one database, from the process that reads it ---

// A batch of the history that the last event::Begin began. That event has no `kept` of its own here, so that
// no message is as long as a history.
struct Kept {
    BatchPtr batch = {};
};

// All of the history was sent.
struct Begun {
    bool is_read = false; // the sender reads the database now
    Id settled = 0;       // ids up to this one may have been dispatched before the history
    std::vector<Position> lost = {};
};

// Where the sender has stopped reading, for the process that reads next; nothing follows of this database.
struct LeftOff {
    Checkpoint ledger = {};
    Duration peers_for = {}; // for how long clients may still come from other gateways
};

struct OfDatabase {
    using What = std::variant<DatabaseEvent, Kept, Begun, LeftOff>;

    std::string database = {};
    What what = {};
};

// --- from the old process ---

// All that it knew when the link was opened was sent.
struct Described {};

// Clients that have come from another gateway, each with its `last`, in the order in which they came.
struct MovedClientList {
    std::vector<std::pair<uint64_t, Id>> clients = {};
};

// Odoo has changed the id of a session.
struct Rotation {
    std::string old_id = {};
    std::string new_id = {};
    std::string set_cookie = {}; // the header's value
};

// A grant of the cache does not hold any more.
struct Forgotten {
    std::array<uint8_t, 32> grant = {}; // its key's digest
};

// Everything was sent: take over.
struct Go {
    bool relays_to_hub = false; // what databases notify is to be passed on to the hub
};

// --- from the new process ---

// It could take over at once.
struct Prepared {};

// It has taken over.
struct Taken {};

} // namespace take_over

// Its order is part of the bytes.
using TakeOverMessage =
    std::variant<take_over::OfDatabase, take_over::Described, take_over::MovedClientList, take_over::Rotation,
                 take_over::Forgotten, take_over::Go, take_over::Prepared, take_over::Taken>;

// With its length in front.
std::string encode(const TakeOverMessage& message);

// Takes the first message off `bytes`. Nothing while it is not whole; `damaged`: it cannot be understood.
std::optional<TakeOverMessage> decode(std::string_view& bytes, bool& damaged);

} // namespace odoo_bus
