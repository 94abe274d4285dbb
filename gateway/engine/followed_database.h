// One database on an edge: the ledger of the common order, and what was given out here before that order
// showed it (`ahead`).
//
// Invariants:
//
// 1. No id is given out twice: neither what is ahead, nor what `given_` has, which stands for that where it
//    would be too much, or is not known.
// 2. The ledger decides no id that the common order has not published or decided: what is given out locally
//    does not enter it, and what is taken back from it becomes a gap. So a gateway that leads from it leaves
//    nothing out.
// 3. Once is_merged(), what was given out here is what the common order has published, nothing more or less.
#pragma once

#include <optional>

#include "base/keyed_hash.h"
#include "engine/ledger_change.h"
#include "protocol/notification.h"

namespace odoo_bus {

class FollowedDatabase {
public:
    // As single ids; more are kept as a ledger.
    static constexpr size_t MAX_AHEAD = 100'000;

    FollowedDatabase() = default;
    // As an earlier process of this gateway has left it. `ahead`: given out after that point of the order.
    FollowedDatabase(Checkpoint ledger, const Batch& ahead);

    // --- the common order ---

    // The leader reads the table after what is in it; `is_another`: it is not the one that was read before.
    void begin(bool is_another);
    // The part of a batch that was not given out here yet, each with the position that it has in the common
    // order. Null: nothing.
    BatchPtr publish(const BatchPtr& batch);
    void change(const LedgerChange& change);
    // The common order has another entry in place of the one that published this.
    void take_back(const Batch& batch);
    // Entries were missed.
    void lose_track();

    // --- read from the table here ---

    void adopt(Checkpoint ledger);
    void give(const Batch& batch);

    // Of the common order, for the next leader. Nothing: a whole one has not come yet.
    const std::optional<Checkpoint>& ledger() const { return ledger_; }
    // Of what was given out here, for reading the table. Nothing: the table is to be adopted.
    std::optional<Checkpoint> given() const;
    // From where this gateway reads the table for all. Where nobody knows the common order's ledger, it
    // begins anew after what was given out here: nobody would publish what it left out. Nothing: as given().
    std::optional<Checkpoint> lead_from() const { return ledger_ ? ledger_ : given(); }
    // Only a whole ledger tells what of `given_` is ahead.
    bool wants_ledger() const { return !ledger_ || given_; }

    bool is_merged() const { return ahead_.empty() && !given_; }

private:
    struct GivenOut {
        uint64_t fingerprint; // 0: not known
        bool ahead;           // a chosen id
    };

    bool was_given(const Notification& notification);
    void add_ahead(const Notification& notification);
    void compare_with(const Checkpoint& whole);

    std::optional<Checkpoint> ledger_;
    KeyedMap<Id, GivenOut> ahead_;
    // All that was given out here before something was ahead: after a hole, and when too much is ahead.
    std::optional<Checkpoint> given_;
};

} // namespace odoo_bus
