// PostgreSQL as far as the ledger can see it: a sequence, transactions with savepoints, the lock on bus_bus,
// and snapshots.
//
// Every step that another process can observe is a step of its own: lock, draw, insert, become visible,
// release the lock. A transaction has an id from its first row on. A statement that names an id locks bus_bus
// before the sequence gets there. A transaction loses its name in pg_locks when it becomes visible, in the
// same instant (both happen under ProcArrayLock); a prepared one keeps its name until it has released its
// lock, unless the asking snapshot shows it.
#pragma once

#include <algorithm>
#include <vector>

#include "ledger/ledger.h"
#include "ledger/row.h"

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
        bool chosen = false;   // named by its statement, not drawn from the sequence
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
    // Begins a statement that names an id which the sequence has not reached.
    void choose(Transaction t, Id beyond) {
        lock(t);
        const Draw draw{
            .id = sequence_ + beyond, .by = t, .savepoint = 0, .drawn_at = ++now_, .chosen = true};
        chosen_.insert(std::ranges::upper_bound(chosen_, draw.id, {}, &Draw::id), draw);
    }
    // Inserts what `t` drew or chose last, unless there is a row with this id or one that may be committed.
    void insert(Transaction t) {
        write(t);
        Draw* last = nullptr;
        each_of(t, [&last](Draw& draw) {
            if (!last || draw.drawn_at > last->drawn_at)
                last = &draw;
        });
        if (is_taken(last->id))
            return;
        last->savepoint = transactions_[t].savepoints;
        last->inserted = true;
    }
    // A row of another table: the transaction gets its id.
    void write(Transaction t) { transactions_[t].has_id = true; }
    void savepoint(Transaction t) { ++transactions_[t].savepoints; }
    void rollback_to_savepoint(Transaction t) {
        int& savepoints = transactions_[t].savepoints;
        each_of(t, [savepoints](Draw& draw) { draw.inserted &= draw.savepoint < savepoints; });
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
        each_of(t, [](Draw& draw) { draw.inserted = false; });
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

    // Fast or immediate: transactions that have neither ended nor are prepared are rolled back. Local ids
    // begin anew, and prepared transactions are named after their transaction id.
    void restart() {
        for (Transaction t = 0; t < transactions_.size(); ++t) {
            State& transaction = transactions_[t];
            if (!transaction.locks && !transaction.has_id)
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
    // Above `max_seen`, up to the sequence's last value; then what is above that and `chosen`.
    std::vector<Row> read(const Snapshot& snapshot, Id max_seen, Id chosen, size_t limit) const {
        std::vector<Row> found = rows(snapshot, {{max_seen + 1, sequence_}}, limit);
        if (chosen_.empty())
            return found;
        for (Row& row : rows(snapshot, {{std::max(chosen, sequence_) + 1, INT64_MAX}}, limit)) {
            row.ahead = true;
            found.push_back(std::move(row));
        }
        return found;
    }
    std::vector<Row> rows(const Snapshot& snapshot, const std::vector<IdRange>& ranges, size_t limit) const {
        std::vector<Row> found;
        const auto take = [&](const Draw& draw) {
            if (draw.inserted && draw.by < snapshot.size() && snapshot[draw.by])
                found.push_back({.id = draw.id});
        };
        for (const IdRange& range : ranges) {
            auto chosen = std::ranges::lower_bound(chosen_, range.first, {}, &Draw::id);
            const auto take_chosen = [&](Id until) {
                for (; chosen != chosen_.end() && chosen->id <= until && found.size() < limit; ++chosen)
                    take(*chosen);
            };
            for (size_t i = static_cast<size_t>(std::max<Id>(range.first, 1)) - 1;
                 i < draws_.size() && draws_[i].id <= range.last && found.size() < limit; ++i) {
                take(draws_[i]);
                take_chosen(draws_[i].id);
            }
            take_chosen(range.last);
        }
        return found;
    }
    std::vector<Holder> holders(const Snapshot& snapshot) const {
        std::vector<Holder> holders;
        for (Transaction t = 0; t < transactions_.size(); ++t)
            if (transactions_[t].locks && !(transactions_[t].prepared && t < snapshot.size() && snapshot[t]))
                holders.push_back(transactions_[t].name);
        return holders;
    }

    // The ids of the transactions that a snapshot taken now would show as in progress.
    std::vector<Holder> transaction_ids() const {
        std::vector<Holder> ids;
        for (Transaction t = 0; t < transactions_.size(); ++t)
            if (transactions_[t].has_id && !transactions_[t].ended)
                ids.push_back(t + 1);
        return ids;
    }

    // --- what the judge knows ---

    int64_t now() const { return static_cast<int64_t>(now_); }
    // Who drew an id by then has written a row, or has ended.
    int64_t written_by() const {
        uint64_t first = now_ + 1;
        for (const std::vector<Draw>* const draws : {&draws_, &chosen_})
            for (const Draw& draw : *draws)
                if (!transactions_[draw.by].has_id && !transactions_[draw.by].ended)
                    first = std::min(first, draw.drawn_at);
        return static_cast<int64_t>(first) - 1;
    }

    size_t transactions() const { return transactions_.size(); }
    Id sequence() const { return sequence_; }
    const std::vector<Draw>& chosen() const { return chosen_; } // ascending by id
    // In the order of time.
    std::vector<Draw> draws() const {
        std::vector<Draw> all = draws_;
        all.insert(all.end(), chosen_.begin(), chosen_.end());
        if (!chosen_.empty())
            std::ranges::sort(all, {}, &Draw::drawn_at);
        return all;
    }
    bool is_committed(const Draw& draw) const { return draw.inserted && transactions_[draw.by].visible; }

private:
    struct State {
        Holder name;
        int savepoints = 0;
        bool locks = false;
        bool has_id = false;
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
        each_of(t, [now = ++now_](Draw& draw) { draw.seen_at = now; });
    }
    template <typename Call>
    void each_of(Transaction t, Call call) {
        for (std::vector<Draw>* const draws : {&draws_, &chosen_})
            for (Draw& draw : *draws)
                if (draw.by == t)
                    call(draw);
    }
    bool is_taken(Id id) const {
        if (std::ranges::any_of(chosen_, [id](const Draw& draw) { return draw.id == id && draw.inserted; }))
            return true;
        return id <= sequence_ && draws_[static_cast<size_t>(id) - 1].inserted;
    }

    Id sequence_ = 0;
    uint64_t now_ = 0;
    int restarts_ = 0;
    std::vector<State> transactions_;
    std::vector<Draw> draws_;  // from the sequence: ascending by id, without a hole
    std::vector<Draw> chosen_; // ascending by id
    std::vector<uint32_t> local_ids_ = std::vector<uint32_t>(16);
};

} // namespace odoo_bus
