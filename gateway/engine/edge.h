// A gateway as it follows the common order, and what it does without it.
//
//   COMMON    gives out what the entries publish
//   LOCAL     reads the tables itself, and gives out what it finds in an order of its own
//   MERGING   gives out what the entries publish, without what it gave out before they did
//
//   COMMON --- Redis away, or entries missed ---> LOCAL --- Redis is there ---> MERGING --- all that was
//   given out has been published ---> COMMON
//
// An entry whose previous one is not the newest that was applied shows one of these:
//
//   fork   it comes after an older entry that was applied: Redis had lost the newer ones, and the order went
//          on without them. They are taken back: what they published counts as given out ahead (MERGING).
//   hole   the one before it was never seen: trimmed, slept too long, or the order of others. The tables are
//          read, as far as they go, and the order is followed from that entry on.
//
// There is a hole, too, before a database that is given out here and that another gateway begins anew: what
// the other one has given out before is not published. And before the first entry of all, where a table was
// given out until then, and the stream has lost its beginning.
//
// Invariants:
//
// 1. What this gateway gave out, up to the start of `deviation`, and after its end, is in the common order:
//    so a `last` outside of it is exact for every other gateway.
// 2. Entries are applied along the chain. After a hole a table was read, to its end, before the next one.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <utility>

#include "engine/entry_log.h"
#include "engine/followed_database.h"

namespace odoo_bus {

// The part of the common order in which a gateway gave out an order of its own: after `from`, until `until`.
struct Deviation {
    EntryId from = {};
    EntryId until = {};
    bool is_open = false; // it has no end yet

    bool has(EntryId id) const { return id > from && (is_open || id <= until); }
    bool operator==(const Deviation&) const = default;
};

template <>
inline constexpr auto FIELDS<Deviation> = std::tuple(&Deviation::from, &Deviation::until,
                                                     &Deviation::is_open);

class Edge {
public:
    enum class State { COMMON, LOCAL, MERGING };

    // What an earlier process of this gateway has left in its state files.
    struct Saved {
        EntryId applied = NO_ENTRY;
        Deviation deviation = {};
        std::map<std::string, FollowedDatabase> databases = {};
    };

    explicit Edge(EntryLog::Bounds bounds) : bounds_(bounds), log_(bounds) {}

    void start(Saved saved, Monotonic now);

    // --- the common order ---

    enum class Verdict {
        KNOWN,   // it was applied before
        APPLIED, // `given` is for clients
        HOLE,    // the tables are to be read first: LOCAL
    };
    struct Outcome {
        Verdict verdict;
        BatchPtr given = {}; // what clients here have not been given yet
    };
    // The next entry of the stream. Not in LOCAL. `is_own`: this gateway has made it, as the leader.
    Outcome apply(const EntryPtr& entry, Monotonic now, bool is_own = false);

    // --- without it ---

    void go_local(Monotonic now);
    // A table that was not followed is read from now on, after what is in it.
    void adopt(const std::string& database, Checkpoint ledger) {
        databases_[database].adopt(std::move(ledger));
    }
    // Rows of a table are given out.
    void give(const std::string& database, const Batch& batch);
    // The tables were read to their ends after go_local().
    void tables_read() { is_table_read_ = true; }
    // Redis is there: false when the tables have to be read first.
    bool merge();

    State state() const { return state_; }
    EntryId applied() const { return applied_; }
    const Deviation& deviation() const { return deviation_; }
    const EntryLog& log() const { return log_; }
    const std::map<std::string, FollowedDatabase>& databases() const { return databases_; }
    bool wants_ledger() const;
    // It has the entries up to the newest that it applied, to append them again.
    bool can_refill() const { return !log_.empty() && log_.newest() == applied_; }
    // Every database's ledger is known, so that it can be read on from here.
    bool has_ledgers() const;

    void trim(Monotonic now) { log_.trim(now); }

private:
    void learn(const EntryPtr& entry, Monotonic now);
    bool fits(const Entry& entry, Monotonic now, bool is_own);
    bool begins_anew(const Entry& entry) const;
    void fork_at(EntryId id, Monotonic now);
    void deviate(EntryId from, Monotonic now);
    BatchPtr happen(const Entry& entry);
    void settle(Monotonic now);

    const EntryLog::Bounds bounds_;
    State state_ = State::COMMON;
    EntryId applied_ = NO_ENTRY;
    EntryLog log_;
    std::map<std::string, FollowedDatabase> databases_;
    Deviation deviation_;
    Monotonic deviated_ = {};     // when it had an end
    std::optional<EntryId> hole_; // before this entry
    bool is_table_read_ = false;
};

} // namespace odoo_bus
