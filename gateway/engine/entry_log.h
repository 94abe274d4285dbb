// The newest entries that this gateway has applied: what can be appended again when Redis has lost it, and
// which entry showed an id. Bounded as the history is.
//
// It is a chain: each entry names the one before it.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/keyed_hash.h"
#include "engine/entry.h"

namespace odoo_bus {

class EntryLog {
public:
    struct Bounds {
        Duration age;
        uint64_t bytes;
    };

    explicit EntryLog(Bounds bounds) : bounds_(bounds) {}

    // Empty, after this entry.
    void start(EntryId after);
    // The next one after newest().
    void append(EntryPtr entry, Monotonic now);
    void trim(Monotonic now);
    // Takes out what comes after `id`, which it knows.
    std::vector<EntryPtr> cut_after(EntryId id);

    bool empty() const { return entries_.empty(); }
    // The entry before the first one.
    EntryId start() const { return before_; }
    EntryId newest() const { return entries_.empty() ? before_ : entries_.back().entry->id; }
    // Of the chain, from the one before the first entry on.
    bool knows(EntryId id) const;
    // The next entry after one that it knows; null: there is none.
    EntryPtr after(EntryId id) const;
    std::vector<EntryPtr> all() const;
    // The newest entry that published the id.
    std::optional<EntryId> published_in(const std::string& database, Id id) const;

private:
    struct Kept {
        EntryPtr entry;
        Monotonic at;
    };
    using Place = std::deque<Kept>::const_iterator;

    Place place_after(EntryId id) const;
    void forget(const Entry& entry);

    const Bounds bounds_;
    std::deque<Kept> entries_;
    EntryId before_ = NO_ENTRY; // the first entry
    uint64_t bytes_ = 0;
    KeyedMap<std::string, KeyedMap<Id, EntryId>> published_;
};

} // namespace odoo_bus
