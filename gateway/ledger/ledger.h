// The ledger of one database: which ids have been seen, and which may still come.
//
// Ids come from a sequence, so a lower id may be committed after a higher one. A *gap* is an id at or below
// `max_seen` that no read has returned yet. What makes gaps decidable: an INSERT whose id is the column's
// default locks bus_bus in RowExclusiveLock mode before it draws the id, and the lock is released only after
// its transaction has become visible (or has been rolled back). The *holders* are the transactions that hold
// that lock.
//
// A cycle dispatches what *one snapshot* of the table shows. It is these statements:
//
//   read      the rows above max_seen; its snapshot is that of the whole cycle     -> saw()
//   holders   the holders of the lock, after `read` (only while gaps are open)     -> hold()
//   probe     the gaps of which a holder has gone, in the snapshot of `read`       -> due(), probed(), until
//                                                                                     none is due
//
// Probes go upwards through the ids, and what they find is dispatched at once. Then the rows of `read`
// follow, which are all above; they need not wait when no gap was open before. When the connection is lost,
// abandon(). Invariants:
//
// 1. Every id at or below max_seen is seen, a gap, or dead. A dead id can never become visible.
// 2. A gap's holders include the transaction that drew it, or that transaction had ended before they were
//    looked up for the gap; then the next snapshot decides.
//    The transaction ids of the snapshot may be looked up instead (Ripeness says why later): then the holders
//    include it when it has written a row by that time.
// 3. Complete: a gap that the snapshot shows is due in that cycle. Its transaction was visible before the
//    holders were looked up, and a transaction loses its name in the instant in which it becomes visible
//    (`holders` leaves out prepared ones that the snapshot shows), so that the gap lost a holder, or had lost
//    it by the look-up before and is due for that reason. Gaps whose holders cannot be looked up yet are due
//    in every cycle.
// 4. A gap dies only when a snapshot does not show it that was taken when none of its holders was left.
// 5. Order: a snapshot shows all rows of a transaction or none, and with an effect its causes: what was
//    committed before an id was drawn. Both have lower ids, so that by 3 no row is ever dispatched before an
//    earlier one of its transaction, nor before its cause, wherever a cycle is cut short.
//
// The ledger does no input or output: ReadCycle drives it with what PostgreSQL answered.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "ledger/id_set.h"

namespace odoo_bus {

// A transaction as pg_locks.virtualtransaction names it, packed: backend in the high half, local id in the
// low one.
using Holder = uint64_t;

// Whose holders can be looked up. The lock on bus_bus is held before an id is drawn. Where locks cannot be
// seen, the transactions are known by their ids, which PostgreSQL assigns when they write: a gap is *ripe*
// when its transaction must have written a row by then, or have ended. Both times are of one clock, whose
// unit is the caller's.
struct Ripeness {
    int64_t now = 0;  // after the snapshot in which new gaps were found
    int64_t ripe = 0; // gaps that were found by then are ripe
};

// Reads "3/127" or "-1/4711"; what has another form is hashed, so that it still is a name.
Holder parse_holder(std::string_view virtualtransaction);

class Ledger {
public:
    // Begins after `max_seen`; `gaps` are ids below it that may still come. What was known before is
    // forgotten.
    void start(Id max_seen, IdSet gaps);

    Id max_seen() const { return max_seen_; }

    // `ids`: what `read` returned, ascending, all above max_seen(). The ids in between become gaps. Probes of
    // this cycle are made in the snapshot of this read. True when no gap was open, so that there will be
    // none.
    bool saw(std::span<const Id> ids);

    // True while gaps are open: then the holders must be looked up after `read`.
    bool has_gaps() const { return !generations_.empty(); }

    uint64_t gap_count() const;

    // `holders`: all current holders of the lock; or, of the snapshot, all transactions that have an id.
    void hold(std::vector<Holder> holders, Ripeness ripeness = {});

    // The next ranges to probe, ascending, at most `limit`; empty when this cycle's probes are done. Each
    // answer must be followed by probed().
    std::vector<IdRange> due(size_t limit);

    // `found`: the ids that the probe of `ranges` returned. The others of these ranges die if none held
    // them when the snapshot was taken. An answer that was cut by a limit says nothing of what comes after
    // its last id: leave that out of `ranges`.
    void probed(std::span<const IdRange> ranges, std::span<const Id> found);

    // True when the next snapshot may show gaps: a holder has gone since this one was taken.
    bool is_due() const;

    // The connection was lost: what was read and not dispatched will be read again. The holders are
    // forgotten, since they may have other names afterwards (a prepared transaction after a restart of the
    // server): the next hold() notes them afresh, and everything is probed.
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
    // Gaps that wait for the same holders.
    struct Generation {
        IdSet ids;
        std::vector<Holder> holders = {};  // sorted
        bool noted = false;                // the holders have been looked up
        std::optional<int64_t> found = {}; // when, by Ripeness::now
        bool due = false;                  // this cycle's snapshot may show some
        bool due_next = false;             // the next one may
        bool orphaned = false;             // this cycle's snapshot was taken when no holder was left
    };

    void merge_generations();

    Id max_seen_ = 0;
    Id settled_ = 0; // max_seen when the rows of a read were dispatched last
    // In the order of their ids. A transaction that held the lock when older gaps were noted, and still holds
    // it, held it when newer ones were noted: the holders of a generation are among those of every newer one.
    std::vector<Generation> generations_;
    Id probe_from_ = 0; // where due() goes on
    uint64_t died_ = 0;
    uint64_t filled_ = 0;
};

} // namespace odoo_bus
