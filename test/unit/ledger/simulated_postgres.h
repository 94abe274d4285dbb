// PostgreSQL as far as the ledger can see it: a sequence, transactions with savepoints, the lock on bus_bus,
// and snapshots.
//
// Every step that another process can observe is a step of its own: lock, draw, insert, become visible,
// release the lock. A transaction loses its name in pg_locks when it becomes visible, in the same instant
// (both happen under ProcArrayLock); a prepared one keeps its name until it has released its lock, unless the
// snapshot of who asks shows it.
#pragma once

#include <algorithm>
#include <vector>

#include "ledger/ledger.h"

namespace odoo_bus {

class SimulatedPostgres {
public:
    using Transaction = size_t;

    // One id that was drawn.
    struct Draw {
        Id id;
        Transaction by;
        int savepoint;         // nesting when it was inserted
        bool inserted = false; // and neither it nor its savepoint was rolled back
        uint64_t drawn_at;     // all times count steps
        uint64_t seen_at = 0;  // when others could first know of it; 0: never
    };

    // --- what writers do ---

    // `backend`: connections are numbered from 1.
    Transaction begin(int backend) {
        transactions_.push_back({.name = name(backend, ++local_ids_[static_cast<size_t>(backend)])});
        return transactions_.size() - 1;
    }
    void lock(Transaction t) { transactions_[t].locks = true; }
    Id draw(Transaction t) {
        draws_.push_back({.id = ++sequence_, .by = t, .savepoint = 0, .drawn_at = ++now_});
        return sequence_;
    }
    // Inserts what `t` drew last.
    void insert(Transaction t) {
        Draw& last = *std::ranges::find(draws_.rbegin(), draws_.rend(), t, &Draw::by);
        last.savepoint = transactions_[t].savepoints;
        last.inserted = true;
    }
    void savepoint(Transaction t) { ++transactions_[t].savepoints; }
    void rollback_to_savepoint(Transaction t) {
        int& savepoints = transactions_[t].savepoints;
        for (Draw& draw : draws_)
            if (draw.by == t && draw.savepoint >= savepoints)
                draw.inserted = false;
        --savepoints;
    }
    int savepoints(Transaction t) const { return transactions_[t].savepoints; }
    void prepare(Transaction t) { transactions_[t].prepared = true; }

    // The first half of COMMIT: from now on snapshots see it.
    void become_visible(Transaction t) {
        transactions_[t].visible = true;
        end(t);
    }
    // The first half of ROLLBACK.
    void abort(Transaction t) {
        for (Draw& draw : draws_)
            if (draw.by == t)
                draw.inserted = false;
        end(t);
    }
    // The second half of both.
    void release(Transaction t) { transactions_[t].locks = false; }

    Id send(Transaction t) {
        lock(t);
        const Id id = draw(t);
        insert(t);
        return id;
    }
    void commit(Transaction t) {
        become_visible(t);
        release(t);
    }
    void rollback(Transaction t) {
        abort(t);
        release(t);
    }

    // Fast or immediate: whoever has neither ended nor is prepared is rolled back. Local ids begin anew, and
    // prepared transactions are named after their transaction id.
    void restart() {
        for (Transaction t = 0; t < transactions_.size(); ++t) {
            State& transaction = transactions_[t];
            if (!transaction.locks)
                continue;
            if (transaction.prepared && !transaction.ended) {
                transaction.name = name(-1, static_cast<uint32_t>(1000 + t));
                continue;
            }
            if (!transaction.ended)
                abort(t);
            release(t);
        }
        local_ids_.assign(local_ids_.size(), 0);
        ++restarts_;
    }
    int restarts() const { return restarts_; }

    // --- what the gateway asks ---

    // Which transactions it shows.
    using Snapshot = std::vector<bool>;

    Snapshot snapshot() const {
        Snapshot shown;
        for (const State& transaction : transactions_)
            shown.push_back(transaction.visible);
        return shown;
    }
    std::vector<Id> rows_above(const Snapshot& snapshot, Id id, size_t limit) const {
        return rows(snapshot, {{id + 1, INT64_MAX}}, limit);
    }
    std::vector<Id> rows(const Snapshot& snapshot, const std::vector<IdRange>& ranges, size_t limit) const {
        std::vector<Id> found;
        for (const IdRange& range : ranges)
            for (size_t i = static_cast<size_t>(std::max<Id>(range.first, 1)) - 1;
                 i < draws_.size() && draws_[i].id <= range.last && found.size() < limit; ++i)
                if (draws_[i].inserted && draws_[i].by < snapshot.size() && snapshot[draws_[i].by])
                    found.push_back(draws_[i].id);
        return found;
    }
    std::vector<Holder> holders(const Snapshot& snapshot) const {
        std::vector<Holder> holders;
        for (Transaction t = 0; t < transactions_.size(); ++t)
            if (transactions_[t].locks && !(transactions_[t].prepared && t < snapshot.size() && snapshot[t]))
                holders.push_back(transactions_[t].name);
        return holders;
    }

    // --- what the judge knows ---

    size_t transactions() const { return transactions_.size(); }
    const std::vector<Draw>& draws() const { return draws_; }
    bool is_committed(const Draw& draw) const { return draw.inserted && transactions_[draw.by].visible; }

private:
    struct State {
        Holder name;
        int savepoints = 0;
        bool locks = false;
        bool prepared = false;
        bool visible = false;
        bool ended = false;
    };

    static Holder name(int backend, uint32_t local) {
        return uint64_t{static_cast<uint32_t>(backend)} << 32 | local;
    }
    // pg_locks shows 3/0 while transaction 3/127 has ended and still has its locks.
    void end(Transaction t) {
        State& transaction = transactions_[t];
        transaction.ended = true;
        if (transaction.visible)
            publish(t);
        if (!transaction.prepared)
            transaction.name &= ~uint64_t{UINT32_MAX};
    }
    void publish(Transaction t) {
        ++now_;
        for (Draw& draw : draws_)
            if (draw.by == t)
                draw.seen_at = now_;
    }

    Id sequence_ = 0;
    uint64_t now_ = 0;
    int restarts_ = 0;
    std::vector<State> transactions_;
    std::vector<Draw> draws_; // ascending by id, without a hole
    std::vector<uint32_t> local_ids_ = std::vector<uint32_t>(16);
};

} // namespace odoo_bus
