// The records of the other gateways.
#include "engine/edge_table.h"

#include <algorithm>

#include "engine/timing.h"

namespace odoo_bus {

namespace {

// Two clocks that run differently drift apart no faster than one part in this many.
constexpr int64_t DRIFT = 1000;

// Until two changes were seen, both could be late.
constexpr int SURE_CHANGES = 2;

} // namespace

void EdgeTable::see(const Records& records, Monotonic now) {
    std::erase_if(edges_, [&](const auto& each) { return !records.contains(each.first); });
    for (const auto& [name, record] : records) {
        const Duration offset = now.time_since_epoch() - record.sent.time_since_epoch();
        const auto [place, is_new] =
            edges_.try_emplace(name, Seen{.record = record, .changed = now, .offset = offset});
        Seen& seen = place->second;
        // An older one is a write that was late, behind a newer one.
        if (is_new || record.sent <= seen.record.sent)
            continue;
        seen.offset = std::min(seen.offset + (now - seen.changed) / DRIFT, offset);
        seen.record = record;
        seen.changed = now;
        ++seen.changes;
    }
}

const EdgeTable::Seen* EdgeTable::find_seen(const std::string& name) const {
    const auto seen = edges_.find(name);
    return seen == edges_.end() ? nullptr : &seen->second;
}

const EdgeRecord* EdgeTable::find(const std::string& name) const {
    const Seen* const seen = find_seen(name);
    return seen ? &seen->record : nullptr;
}

bool EdgeTable::is_gone(const std::string& name, Monotonic now) const {
    const Seen* const seen = find_seen(name);
    return !seen || now - seen->changed >= timing::GONE;
}

bool EdgeTable::is_fresh(const std::string& name, Monotonic now) const {
    const Seen* const seen = find_seen(name);
    if (!seen || seen->changes < SURE_CHANGES)
        return false;
    const Monotonic sent(seen->record.sent.time_since_epoch() + seen->offset);
    return now - sent < timing::GONE;
}

EdgeTable::Newest EdgeTable::newest(const std::string& but, Monotonic now) const {
    Newest newest;
    for (const auto& [name, seen] : edges_) {
        if (name == but || is_gone(name, now))
            continue;
        newest.applied = std::max(newest.applied, seen.record.applied);
        if (seen.record.can_lead)
            newest.can_lead = std::max(newest.can_lead, seen.record.applied);
    }
    return newest;
}

bool EdgeTable::wants_ledger(Monotonic now) const {
    return std::ranges::any_of(edges_, [&](const auto& each) {
        return each.second.record.wants_ledger && !is_gone(each.first, now);
    });
}

bool EdgeTable::is_any_to_lead(Monotonic now) const {
    return std::ranges::any_of(
        edges_, [&](const auto& each) { return each.second.record.is_to_lead && !is_gone(each.first, now); });
}

} // namespace odoo_bus
