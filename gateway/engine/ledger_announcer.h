// When the leader says what of its ledger, for one database: a whole one at first, at least every half
// history, and for a gateway that has missed entries; else what has changed.
#pragma once

#include <optional>

#include "base/clock.h"
#include "engine/ledger_change.h"
#include "protocol/notification.h"

namespace odoo_bus {

class LedgerAnnouncer {
public:
    // `history`: how long entries are kept.
    explicit LedgerAnnouncer(Duration history) : history_(history) {}

    // Those who follow know of it.
    void published(const Batch& batch);
    // What to say after a cycle that has ended with this ledger; nothing is said too often.
    std::optional<LedgerChange> next(const Checkpoint& ledger, bool is_wanted, Monotonic now);

private:
    const Duration history_;
    std::optional<Checkpoint> said_; // as those who follow know it
    Monotonic said_at_ = {};
    Monotonic whole_at_ = {};
};

} // namespace odoo_bus
