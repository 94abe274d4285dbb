// Who has been granted what, and when Odoo is to be asked about it again.
#include "auth/odoo/grant_table.h"

#include <algorithm>

namespace odoo_bus {

namespace {

constexpr int64_t ANSWERED_SOON_US = 200'000;
constexpr int64_t LOOK_AGAIN_US = 1'000'000; // whether an idle connection has received something

} // namespace

bool GrantTable::add(const std::shared_ptr<ConnectionLink>& link, const OdooSubject& subject,
                     std::shared_ptr<const Grant> grant, int64_t asked_us, int64_t due_us) {
    remove(link);
    if (link->gone())
        return false;
    EntryPtr& entry = entries_[subject.key];
    if (!entry) {
        entry = std::make_shared<Entry>();
        entry->subject = subject;
        entry->due_us = due_us;
        due_.emplace(due_us, subject.key);
    }
    if (entry->asked_us <= asked_us) {
        entry->asked_us = asked_us;
        entry->grant = std::move(grant);
        entry->failing_since_us = 0;
        put_off(*entry, due_us);
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
        due_.erase({entry->due_us, entry->subject.key});
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

std::shared_ptr<GrantTable::Entry> GrantTable::next_due(int64_t now_us, int64_t interval_us) {
    while (!due_.empty() && due_.begin()->first <= now_us) {
        const EntryPtr entry = entries_.at(due_.begin()->second);
        if (entry->asking) {
            put_off(*entry, now_us + ANSWERED_SOON_US);
            continue;
        }
        if (!entry->urgent_us && !entry->failing_since_us && !is_active(*entry)) {
            put_off(*entry, now_us + std::min(interval_us, LOOK_AGAIN_US));
            continue;
        }
        entry->asking = true;
        for (Entry::Member& member : entry->members)
            member.asked = member.link->received();
        put_off(*entry, now_us + interval_us);
        return entry;
    }
    return nullptr;
}

void GrantTable::put_off(Entry& entry, int64_t due_us) {
    if (due_.erase({entry.due_us, entry.subject.key}) == 0)
        return; // its last connection has ended
    entry.due_us = due_us;
    due_.emplace(due_us, entry.subject.key);
}

size_t GrantTable::hurry(int64_t now_us, const std::function<bool(const Entry&)>& is_meant) {
    size_t meant = 0;
    for (const auto& [key, entry] : entries_) {
        if (!is_meant(*entry))
            continue;
        entry->urgent_us = now_us;
        put_off(*entry, 0);
        ++meant;
    }
    return meant;
}

void GrantTable::renew(Entry& entry, const Grant& grant, int64_t asked_us, int64_t due_us) {
    entry.failing_since_us = 0;
    entry.refused = 0;
    if (entry.urgent_us > asked_us)
        return put_off(entry, 0); // the reason came when the question was on its way
    entry.urgent_us = 0;
    put_off(entry, due_us);
    if (entry.asked_us > asked_us)
        return; // a later question was answered before
    entry.asked_us = asked_us;
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

int64_t GrantTable::longest_unchecked_us(int64_t now_us) const {
    int64_t longest = 0;
    for (const auto& [key, entry] : entries_)
        if (is_active(*entry))
            longest = std::max(longest, now_us - entry->asked_us);
    return longest;
}

} // namespace odoo_bus
