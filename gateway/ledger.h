// The ledger of one database: which ids have been seen, and which may still come.
//
// Ids come from a sequence, so a lower id may be committed after a higher one. A *gap* is an id at or below
// `max_seen` that no read has returned yet. What makes gaps decidable: an INSERT whose id is the column's
// default locks bus_bus in RowExclusiveLock mode before it draws the id, and the lock is released only after
// its transaction has become visible (or has been rolled back). The *holders* are the transactions that hold
// that lock.
//
// One cycle is these statements, each with a snapshot of its own, begun after the former has ended:
//
//   read      the rows above max_seen                      -> saw()
//   holders   who holds the lock (only while gaps are open) -> hold()
//   probe     the gaps of which a holder has gone           -> due(), probed(), until none is due
//
// After each probe, and after the last one, everything is dispatched that is settled: what the probe found
// and the rows of `read` at or below settled(), in the order of their ids. When the connection is lost,
// abandon(). Invariants:
//
// 1. Every id at or below max_seen is seen, a gap, or dead. A dead id can never become visible.
// 2. A gap's holders include the transaction that drew it, or that transaction had ended before the holders
//    were looked up, and then a probe begun afterwards decides.
// 3. A gap dies only when none of its holders is left and a probe begun after that did not find it.
// 4. Cause before effect: whatever was committed before an id was drawn has a lower id, and is visible to
//    the first read that sees that id or one above it. If it is a gap then, its holder is gone when `holders`
//    is asked (a transaction loses its name when it becomes visible, before it loses its locks), so that a
//    probe finds it. Probes go upwards through the ids, and nothing above settled() is dispatched.
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

    // The next ranges to probe, ascending, at most `limit`; empty when this cycle's probes are done. Each
    // answer must be followed by probed().
    std::vector<IdRange> due(size_t limit);

    // `found`: the ids that the probe of `ranges` returned. The others of these ranges die if nobody holds
    // them. An answer that was cut by a limit says nothing of what comes after its last id: leave that out of
    // `ranges`.
    void probed(std::span<const IdRange> ranges, std::span<const Id> found);

    // Of this cycle's rows, the ones at or below this id are to be dispatched. It is max_seen() when due()
    // has answered that nothing is left to probe.
    Id settled() const { return settled_; }

    // The connection was lost: what is not settled will be read again. The holders are forgotten, since they
    // may have other names afterwards (a prepared transaction after a restart of the server): the next hold()
    // notes them afresh, and everything is probed.
    void abandon() { lower(settled_); }

    // Ids above the newest that was seen which the table may hand out again (rows lost in a crash): lowers
    // max_seen.
    void lower(Id max_seen);

    // True for an id that is a gap now.
    bool is_gap(Id id) const;
    // False for what may still be dispatched.
    bool is_decided(Id id) const { return id <= settled_ && !is_gap(id); }
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
    // Gaps that wait for the same holders. Before its holders are looked up `noted` is false.
    struct Generation {
        IdSet ids;
        std::vector<Holder> holders; // sorted
        bool noted = false;
        bool due = false;
    };

    void merge_generations();

    Id max_seen_ = 0;
    Id settled_ = 0;
    // In the order of their ids. Who held the lock when older gaps were noted, and still holds it, also held
    // it when newer ones were: the holders of a generation are among those of every newer one.
    std::vector<Generation> generations_;
    Id probe_from_ = 0; // where due() goes on
    uint64_t died_ = 0;
    uint64_t filled_ = 0;
};

} // namespace odoo_bus
