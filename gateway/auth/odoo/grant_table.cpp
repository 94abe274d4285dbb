// The grants of the connections, and when each is due for a re-check.
#include "auth/odoo/grant_table.h"

#include <algorithm>

#include "auth/odoo/personal_channels.h"

namespace odoo_bus {

namespace {

constexpr Duration ANSWERED_SOON = std::chrono::milliseconds(200);
constexpr Duration LOOK_AGAIN = std::chrono::seconds(1); // whether an idle connection has received something

bool is_same(const Grant& one, const Grant& other) {
    return one.database == other.database && one.channels == other.channels;
}

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
        entry->confirmed = std::max(entry->confirmed, asked);
        // Its other connections must not go on with a list that Odoo has shortened.
        if (entry->grant && !is_same(*entry->grant, *grant))
            for (const Entry::Member& member : entry->members)
                member.link->regrant(grant);
        entry->grant = std::move(grant);
        entry->failing_since = std::nullopt;
        put_off(*entry, due);
    }
    entry->closed = false;
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

std::shared_ptr<GrantTable::Entry> GrantTable::find(const std::shared_ptr<ConnectionLink>& link) const {
    const auto known = key_of_link_.find(link.get());
    return known == key_of_link_.end() ? nullptr : entries_.at(known->second);
}

std::shared_ptr<GrantTable::Entry>
GrantTable::find_other(const Entry& entry, const std::function<bool(const Entry&)>& is_meant) const {
    const auto connections = clients_.find(entry.subject.client);
    if (connections == clients_.end() || connections->second == entry.members.size())
        return nullptr; // most clients have one entry
    for (const auto& [key, other] : entries_)
        if (other.get() != &entry && other->subject.client == entry.subject.client && is_meant(*other))
            return other;
    return nullptr;
}

bool GrantTable::is_active(const Entry& entry) {
    return std::ranges::any_of(entry.members, [](const Entry::Member& member) {
        const Position received = member.link->received();
        return received != member.checked && received != member.link->confirmed();
    });
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
        begin_question(*entry, now, interval);
        return entry;
    }
    return nullptr;
}

void GrantTable::begin_question(Entry& entry, Monotonic now, Duration interval) {
    entry.asking = true;
    entry.asking_since = now;
    for (Entry::Member& member : entry.members)
        member.asked = member.link->received();
    put_off(entry, now + interval);
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

void GrantTable::renew(Entry& entry, const Grant& grant, Monotonic asked, Monotonic due,
                       Monotonic confirmed_until) {
    entry.failing_since = std::nullopt;
    entry.refused = 0;
    if (entry.urgent > asked)
        return put_off(entry, Monotonic()); // the reason is newer than the question
    entry.urgent = std::nullopt;
    put_off(entry, due);
    if (entry.asked > asked)
        return; // a later question was answered before
    entry.asked = asked;
    entry.confirmed = std::max(entry.confirmed, asked);
    entry.awaited = std::nullopt;
    const bool changed = !is_same(*entry.grant, grant);
    if (changed) {
        const auto changed_grant = std::make_shared<Grant>(grant);
        changed_grant->personal = personal_channels(entry.subject, grant);
        changed_grant->confirmed_until = confirmed_until;
        entry.grant = changed_grant;
    }
    for (Entry::Member& member : entry.members) {
        member.checked = member.asked;
        if (changed)
            member.link->regrant(entry.grant);
        else
            member.link->confirm(confirmed_until);
    }
}

void GrantTable::confirm(Entry& entry, Monotonic asked, Monotonic due, Monotonic confirmed_until) {
    entry.confirmed = std::max(entry.confirmed, asked);
    entry.awaited = std::nullopt;
    put_off(entry, due);
    for (const Entry::Member& member : entry.members)
        member.link->confirm(confirmed_until);
}

void GrantTable::close(Entry& entry, const Refusal& refusal) {
    entry.closed = true;
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
