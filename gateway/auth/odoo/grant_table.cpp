// The grants of the connections, and when each is due for a re-check.
#include "auth/odoo/grant_table.h"

#include <algorithm>

namespace odoo_bus {

namespace {

constexpr Duration ANSWERED_SOON = std::chrono::milliseconds(200);
constexpr Duration LOOK_AGAIN = std::chrono::seconds(1); // whether an idle connection has received something

} // namespace

bool GrantTable::add(const std::shared_ptr<ConnectionLink>& link, const OdooSubject& subject,
                     std::shared_ptr<const Grant> grant, Monotonic asked, Monotonic due) {
    remove(link);
    if (link->gone())
        return false;
    EntryPtr& entry = entries_[subject.key];
    if (!entry) {
        entry = std::make_shared<Entry>();
        entry->subject = subject;
        entry->due = due;
        due_.emplace(due, subject.key);
    }
    if (entry->asked <= asked) {
        entry->asked = asked;
        entry->grant = std::move(grant);
        entry->failing_since = std::nullopt;
        put_off(*entry, due);
    }
    entry->members.push_back({.link = link});
    key_of_link_[link.get()] = subject.key;
    ++clients_[subject.client];
    return true;
}

std::optional<OdooSubject> GrantTable::remove(const std::shared_ptr<ConnectionLink>& link) {
    const auto known = key_of_link_.find(link.get());
    if (known == key_of_link_.end())
        return std::nullopt;
    const EntryPtr entry = entries_.at(known->second);
    key_of_link_.erase(known);
    std::erase_if(entry->members, [&link](const Entry::Member& member) { return member.link == link; });
    if (entry->members.empty()) {
        due_.erase({entry->due, entry->subject.key});
        entries_.erase(entry->subject.key);
    }
    const auto client = clients_.find(entry->subject.client);
    if (--client->second != 0)
        return std::nullopt;
    clients_.erase(client);
    return entry->subject;
}

bool GrantTable::is_active(const Entry& entry) {
    return std::ranges::any_of(
        entry.members, [](const Entry::Member& member) { return member.link->received() != member.checked; });
}

std::shared_ptr<GrantTable::Entry> GrantTable::next_due(Monotonic now, Duration interval) {
    while (!due_.empty() && due_.begin()->first <= now) {
        const EntryPtr entry = entries_.at(due_.begin()->second);
        if (entry->asking) {
            put_off(*entry, now + ANSWERED_SOON);
            continue;
        }
        if (!entry->urgent && !entry->failing_since && !is_active(*entry)) {
            put_off(*entry, now + std::min(interval, LOOK_AGAIN));
            continue;
        }
        entry->asking = true;
        for (Entry::Member& member : entry->members)
            member.asked = member.link->received();
        put_off(*entry, now + interval);
        return entry;
    }
    return nullptr;
}

void GrantTable::put_off(Entry& entry, Monotonic due) {
    if (due_.erase({entry.due, entry.subject.key}) == 0)
        return; // its last connection has ended
    entry.due = due;
    due_.emplace(due, entry.subject.key);
}

size_t GrantTable::hurry(Monotonic now, const std::function<bool(const Entry&)>& is_meant) {
    size_t meant = 0;
    for (const auto& [key, entry] : entries_) {
        if (!is_meant(*entry))
            continue;
        entry->urgent = now;
        put_off(*entry, Monotonic());
        ++meant;
    }
    return meant;
}

void GrantTable::renew(Entry& entry, const Grant& grant, Monotonic asked, Monotonic due) {
    entry.failing_since = std::nullopt;
    entry.refused = 0;
    if (entry.urgent > asked)
        return put_off(entry, Monotonic()); // the reason is newer than the question
    entry.urgent = std::nullopt;
    put_off(entry, due);
    if (entry.asked > asked)
        return; // a later question was answered before
    entry.asked = asked;
    const bool changed = entry.grant->database != grant.database || entry.grant->channels != grant.channels;
    if (changed)
        entry.grant = std::make_shared<Grant>(grant);
    for (Entry::Member& member : entry.members) {
        member.checked = member.asked;
        if (changed)
            member.link->regrant(entry.grant);
    }
}

void GrantTable::close(const Entry& entry, const Refusal& refusal) {
    for (const Entry::Member& member : entry.members)
        member.link->take_back(refusal);
}

void GrantTable::close(const std::function<bool(const Entry&)>& is_meant, const Refusal& refusal) {
    for (const auto& [key, entry] : entries_)
        if (is_meant(*entry))
            close(*entry, refusal);
}

Duration GrantTable::longest_unchecked(Monotonic now) const {
    Duration longest{};
    for (const auto& [key, entry] : entries_)
        if (is_active(*entry))
            longest = std::max(longest, now - entry->asked);
    return longest;
}

} // namespace odoo_bus
