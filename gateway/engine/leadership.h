// Who leads, that is: reads PostgreSQL for all, and appends to the stream.
//
//   WAITING    for the lock in PostgreSQL
//   CHECKING   has it; waits until its own edge has applied all of the stream, and nobody knows more
//   BARRIER    appends the first entry of its epoch: from then on nothing of its predecessor can be appended
//   LEADING    reads on from the ledgers as they are at the barrier
//
// The lock only avoids duels: it can be with a process that was stopped, or be lost without a word. What two
// leaders append is decided by the append rule alone.
//
// Invariants:
//
// 1. An id is given to one entry, ever: each epoch is a new one, above every one that was seen, and is used
//    by the process whose barrier began it.
// 2. Nothing is read for others before the own edge has applied the barrier, as it stands in the stream: so
//    the ledger has everything that the stream has, and nothing comes in between. Should two candidates have
//    chosen one epoch, the name in the barrier says whose it is.
// 3. What was not appended is kept, within bounds, and appended later under the same ids.
// 4. A gateway that knows nothing leads only when no gateway turns up that knows something.
#pragma once

#include <deque>
#include <optional>
#include <string>

#include "base/clock.h"
#include "engine/command.h"
#include "engine/edge.h"
#include "engine/edge_table.h"
#include "engine/stream_writer.h"

namespace odoo_bus {

class Leadership {
public:
    struct Settings {
        std::string name;      // of the gateway
        uint64_t unsent_bytes; // more are not kept
    };
    enum class Phase { NONE, WAITING, CHECKING, BARRIER, LEADING };

    explicit Leadership(Settings settings) : settings_(std::move(settings)) {}

    Phase phase() const { return phase_; }
    bool has_lock() const { return phase_ >= Phase::CHECKING; }
    bool is_leading() const { return phase_ == Phase::LEADING; }
    uint64_t epoch() const { return newest_.epoch; }
    // Entries that were given their ids, and that Redis is not known to have.
    const std::deque<EntryPtr>& unsent() const { return unsent_; }
    bool is_overfull() const { return unsent_bytes_ > settings_.unsent_bytes; }

    void wait_for_lock(Commands& commands);
    void locked(Monotonic now);

    // What is known where it has to be decided whether to lead.
    struct View {
        const Edge& edge;
        const StreamWriter& writer;
        EdgeTable::Newest others;
        Monotonic connected_since; // to Redis
        Monotonic now;
        uint64_t unix_ms;
    };
    // CHECKING: appends the barrier, waits, or lets the lock go.
    void check(const View& view, Commands& commands);
    // The own edge goes on without the stream.
    void lose_redis();
    // The stream ends with this entry. Returns those that it made and that are now known to be there.
    std::vector<EntryPtr> acknowledge(EntryId head);
    // The own edge has applied an entry of the stream.
    void applied(const Entry& entry, Commands& commands);

    // The next entry. Only while it is leading.
    EntryPtr make(std::string database, EntryEvent event, Monotonic now);
    bool is_silent(Monotonic now) const;

    // It leads no longer, and what nobody was told of what it made is dropped.
    void resign(Commands& commands);

private:
    enum class Answer { LEAD, WAIT, YIELD };
    Answer judge(const View& view) const;
    EntryPtr keep(Entry entry);
    bool is_own_barrier(const Entry& entry) const;
    void check_again();
    void clear_unsent();

    const Settings settings_;
    Phase phase_ = Phase::NONE;
    Monotonic checking_since_ = {};
    EntryId newest_ = NO_ENTRY; // that it made
    Monotonic made_ = {};
    std::deque<EntryPtr> unsent_;
    uint64_t unsent_bytes_ = 0;
};

} // namespace odoo_bus
