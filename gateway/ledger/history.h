// The dispatched notifications of one database, in the order of dispatch: bounded by age and by bytes.
//
// The thread that reads the database owns it. Service threads hold the same notifications (FanOut), and
// forget them when they are told to, so that all of them know the same positions.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <unordered_set>
#include <vector>

#include "base/keyed_hash.h"
#include "ledger/row.h"
#include "protocol/notification.h"

namespace odoo_bus {

class History {
public:
    struct Bounds {
        Duration age;
        uint64_t bytes;
    };

    explicit History(Bounds bounds) : bounds_(bounds) {}

    // Gives each row the next position; one that cannot be delivered is left out. Null when nothing is left.
    BatchPtr append(std::vector<Row> rows);
    // Takes back what an earlier process dispatched; positions go on from there.
    void append(BatchPtr batch);

    // No more than this is kept, whatever the bounds allow.
    void limit(uint64_t bytes) { limit_ = bytes; }
    // Forgets what is older or more than the bounds allow. Returns the oldest position that is kept.
    Position trim(Monotonic now);
    // Forgets everything; positions go on after `head`. Ids up to `settled` may have been dispatched before.
    void start(Position head, Id settled);

    // Ids up to this one may have been dispatched before what is kept.
    Id settled() const { return settled_; }
    void settle_to(Id id) { settled_ = std::max(settled_, id); }

    Position head() const { return head_; }
    Position oldest() const { return batches_.empty() ? head_ + 1 : batches_.front()->front().position; }
    uint64_t bytes() const { return bytes_; }

    const std::deque<BatchPtr>& batches() const { return batches_; }
    const std::unordered_set<Position>& lost() const { return lost_; }

    // The server has lost these rows: they are no longer known.
    void lose(std::span<const Position> positions) { lost_.insert(positions.begin(), positions.end()); }

    // What is known of rows after a restart of the server: id -> (fingerprint, position) of everything above
    // `settled`, the greatest id that was dispatched before `time`, or that is not kept any more.
    struct Known {
        uint64_t fingerprint;
        Position position;
    };
    struct Newest {
        Id settled;
        KeyedMap<Id, Known> rows;
    };
    Newest newest(Monotonic time) const;

private:
    Bounds bounds_;
    uint64_t limit_ = UINT64_MAX;
    std::deque<BatchPtr> batches_;
    Position head_ = 0;
    uint64_t bytes_ = 0;
    Id settled_ = 0;
    std::unordered_set<Position> lost_;
};

} // namespace odoo_bus
