// A PostgreSQL with one table and the lock of the leader: ids are drawn in one order and committed in
// another, or rolled back. What a reader decides of the gaps is ledger/'s business, and is given here.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "engine/ledger_change.h"

namespace odoo_bus {

class SimulatedTable {
public:
    Id draw() {
        sent_.push_back({.causes = committed_.size()});
        open_.push_back(newest());
        return newest();
    }
    void end(Id id, bool commits) {
        std::erase(open_, id);
        sent(id).state = commits ? State::COMMITTED : State::ROLLED_BACK;
        if (commits)
            committed_.push_back(id);
        ++version_;
    }

    Id newest() const { return static_cast<Id>(sent_.size()); }
    bool is_committed(Id id) const { return sent_[static_cast<size_t>(id) - 1].state == State::COMMITTED; }
    const std::vector<Id>& open() const { return open_; }
    // In the order in which they became visible.
    const std::vector<Id>& committed() const { return committed_; }
    // How many of these were visible when the id was drawn.
    size_t causes(Id id) const { return sent_[static_cast<size_t>(id) - 1].causes; }
    uint64_t version() const { return version_; }

    // The first rows that the ledger has not dispatched, ascending. Gaps that have died are closed.
    std::vector<Id> read(Checkpoint& ledger, size_t limit) const {
        std::vector<Id> ids;
        for (Id id = 1; id <= newest() && ids.size() < limit; ++id) {
            const State state = sent_[static_cast<size_t>(id) - 1].state;
            if (state == State::COMMITTED && !has_decided(ledger, id))
                ids.push_back(id);
            else if (state == State::ROLLED_BACK && id <= ledger.max_seen)
                ledger.gaps.remove(id);
        }
        return ids;
    }
    // The table as it is: what is in it counts as dispatched.
    Checkpoint adopt() const {
        Checkpoint ledger;
        for (const Id id : committed_)
            ledger.max_seen = std::max(ledger.max_seen, id);
        for (Id id = 1; id <= ledger.max_seen; ++id)
            if (sent_[static_cast<size_t>(id) - 1].state != State::COMMITTED)
                ledger.gaps.add(id);
        return ledger;
    }

    // --- the server ---

    bool is_up = true;
    int lock_holder = -1; // the number of a gateway; -1: it is free

private:
    enum class State { OPEN, COMMITTED, ROLLED_BACK };
    struct Sent {
        size_t causes;
        State state = State::OPEN;
    };
    Sent& sent(Id id) { return sent_[static_cast<size_t>(id) - 1]; }

    std::vector<Sent> sent_;
    std::vector<Id> open_;
    std::vector<Id> committed_;
    uint64_t version_ = 0;
};

} // namespace odoo_bus
