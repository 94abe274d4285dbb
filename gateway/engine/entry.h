// One entry of the common order, and the bytes of its one field in the stream.
//
// An id is its content: no leader gives the same id to anything else, so that every gateway that has an
// entry may append it again after Redis has lost it. An entry names the one before it, so that the order is a
// chain in which a hole and a fork are seen.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "base/clock.h"
#include "engine/entry_id.h"
#include "engine/ledger_change.h"
#include "protocol/database_event.h"

namespace odoo_bus {

namespace entry {

// The first one of an epoch: from here on nothing of an earlier leader can be appended.
struct Barrier {
    std::string leader = {}; // its gateway's name
};

// The leader lives, and has nothing else to say.
struct Heartbeat {};

} // namespace entry

// A Begin comes without what it keeps: that stands in the table, from where an edge replays it. Its order is
// part of the bytes.
using EntryEvent = std::variant<entry::Barrier, entry::Heartbeat, LedgerChange, DatabaseEvent>;

struct Entry {
    EntryId id = {};
    EntryId previous = {};
    std::string database = {}; // empty: it is about all of them
    Position first = 0;        // of what it publishes; 0: nothing
    EntryEvent event = {};

    // What has happened in the database; null: something else.
    template <class Event>
    const Event* get_if() const {
        const auto* const of_database = std::get_if<DatabaseEvent>(&event);
        return of_database ? std::get_if<Event>(of_database) : nullptr;
    }
    // What it publishes; null: nothing.
    const BatchPtr& batch() const;
    // What it costs to keep, in bytes.
    size_t bytes() const;
};

using EntryPtr = std::shared_ptr<const Entry>;

// Where others can write to Redis: a keyed hash of the bytes, of the stream's name too. Null: none.
using Seal = std::function<std::string(std::string_view bytes)>;

// Larger entries are neither written nor read; a batch is one read of a table, which is bounded below this.
inline constexpr size_t MAX_ENTRY_BYTES = 64 << 20;

// Nothing when it would be larger than may be.
std::optional<std::string> encode_entry(const Entry& entry, const Seal& seal);
// Nothing when the bytes are not what encode_entry() wrote for this id with this seal. Another machine's
// monotonic clock means nothing here: notifications count as dispatched when they were read, at `now`.
std::optional<Entry> decode_entry(EntryId id, std::string_view bytes, const Seal& seal, Monotonic now);

} // namespace odoo_bus
