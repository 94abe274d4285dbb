// When the leader says what of its ledger.
#include "engine/ledger_announcer.h"

#include <vector>

#include "engine/timing.h"

namespace odoo_bus {

void LedgerAnnouncer::published(const Batch& batch) {
    std::vector<Dispatched> entries;
    for (const Notification& notification : batch)
        entries.push_back({notification.id, notification.fingerprint, {}, notification.ahead});
    if (said_)
        said_->advance(entries);
}

std::optional<LedgerChange> LedgerAnnouncer::next(const Checkpoint& ledger, bool is_wanted, Monotonic now) {
    if (said_ && now - said_at_ < timing::LEDGER_EVERY)
        return std::nullopt;
    const bool is_due = !said_ || is_wanted || now - whole_at_ >= history_ / 2;
    LedgerChange change = is_due ? whole_ledger(ledger) : ledger_change(*said_, ledger);
    if (!is_due && is_empty(change, *said_))
        return std::nullopt;
    said_ = ledger;
    said_at_ = now;
    if (is_due)
        whole_at_ = now;
    return change;
}

} // namespace odoo_bus
