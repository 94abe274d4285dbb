// The ledger of one database: which ids have been seen, and which may still come.
//
// Ids come from a sequence, so a lower id may be committed after a higher one. A *gap* is an id at or below
// `max_seen` that no read has returned yet. What makes gaps decidable: an INSERT whose id is the column's
// default locks bus_bus in RowExclusiveLock mode before it draws the id, and the lock is released only after
// its transaction has become visible (or has been rolled back). The *holders* are the transactions that hold
// that lock.
//
// One cycle is at most three statements, each with a snapshot of its own, begun after the former has ended:
//
//   read      the rows above max_seen                      -> saw()
//   holders   who holds the lock (only while gaps are open) -> hold()
//   probe     the gaps of which a holder has gone           -> due(), probed()
//
// and only then are the rows of `read` and `probe` dispatched, ordered by id. Invariants:
//
// 1. Every id at or below max_seen is seen, a gap, or dead. A dead id can never become visible.
// 2. A gap's holders include the transaction that drew it, or that transaction had ended before the holders
//    were looked up, and then a probe begun afterwards decides.
// 3. A gap dies only when none of its holders is left and a probe begun after that did not find it.
// 4. Cause before effect: whatever was committed before a row of `read` was sent is visible to `read`. If it
// is a
//    gap, its holder is gone when `holders` is asked, so that `probe` finds it, and it goes first: a gap's
//    id is lower than that of any row above max_seen.
//
// The ledger does no input or output: who drives it hands in what PostgreSQL answered.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "id_set.h"

namespace odoo_bus {

// A transaction as pg_locks.virtualtransaction names it, packed: backend in the high half, local id in the
// low one.
using Holder = uint64_t;

// Reads "3/127" or "-1/4711"; what has another form is hashed, so that it still is a name.
Holder parse_holder(std::string_view virtualtransaction);

class Ledger {
public:
    // Begins after `max_seen`; `gaps` are ids below it that may still come. What was known before is
    // forgotten.
    void start(Id max_seen, IdSet gaps);

    Id max_seen() const { return max_seen_; }

    // `ids`: what `read` returned, ascending, all above max_seen(). The ids in between become gaps.
    void saw(std::span<const Id> ids);

    // True while gaps are open: then the holders must be looked up after `read`.
    bool has_gaps() const { return !generations_.empty(); }

    // `holders`: who holds the lock, looked up after `read` had ended.
    void hold(std::vector<Holder> holders);

    // The next ranges to probe, at most `limit`; empty when this cycle's probes are done. Each answer counts
    // as asked and must be followed by probed().
    std::vector<IdRange> due(size_t limit);

    // `found`: the ids that the probe of `ranges` returned. The others of these ranges die if nobody holds
    // them.
    void probed(std::span<const IdRange> ranges, std::span<const Id> found);

    // After a reconnect holders may have other names (a prepared transaction after a restart of the server):
    // forgets them, so that the next hold() notes them afresh and probes everything.
    void forget_holders();

    // Ids above the newest that was seen which the table may hand out again (rows lost in a crash): lowers
    // max_seen.
    void lower(Id max_seen);

    // True for an id that is a gap now.
    bool is_gap(Id id) const;
    IdSet gaps() const;

    struct Stats {
        uint64_t gaps;        // ids that may still come
        uint64_t generations; // sets of gaps with the same holders
        uint64_t bytes;       // memory of the gaps
        uint64_t died;        // gaps that were decided dead, since the start
        uint64_t filled;      // gaps that were found, since the start
    };
    Stats stats() const;

private:
    // Gaps that wait for the same holders. A cycle that has not noted holders yet has `noted` false.
    struct Generation {
        IdSet ids;
        std::vector<Holder> holders; // sorted
        bool noted = false;
        bool due = false;
    };

    void merge_generations();

    Id max_seen_ = 0;
    std::vector<Generation> generations_;
    Id probe_from_ = 0; // where due() goes on within the first due generation
    uint64_t died_ = 0;
    uint64_t filled_ = 0;
};

} // namespace odoo_bus
