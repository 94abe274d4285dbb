// The rows that one database's table bus_presence is to have for this gateway.
#include "presence/presence_roster.h"

#include <algorithm>
#include <utility>

namespace odoo_bus {

size_t PresenceRoster::set(uint64_t connection, const std::string& member,
                           const std::vector<std::string>& channels, Monotonic now) {
    std::vector<Row*> held;
    size_t without_place = 0;
    for (const std::string& channel : channels) {
        Row* row = find({channel, member});
        if (!row && has_place(channel)) {
            row = &make(channel, member);
            join(*row);
        }
        if (row)
            held.push_back(row);
        else
            ++without_place;
    }
    std::ranges::sort(held);
    held.erase(std::unique(held.begin(), held.end()), held.end());
    held.shrink_to_fit();
    // A channel that the connection keeps is not released in between.
    for (Row* const row : held)
        hold(*row);
    gone(connection, now);
    if (!held.empty())
        connections_.emplace(connection, std::move(held));
    return without_place;
}

void PresenceRoster::gone(uint64_t connection, Monotonic now) {
    const auto found = connections_.find(connection);
    if (found == connections_.end())
        return;
    for (Row* const row : found->second)
        release(*row, now);
    connections_.erase(found);
}

void PresenceRoster::prune(Monotonic now) {
    for (auto it = leaving_.begin(); it != leaving_.end() && it->first <= now;) {
        Row& row = *it->second;
        if (row.stored || row.told != Told::no) {
            ++it;
            continue;
        }
        it = leaving_.erase(it);
        erase(row);
    }
}

PresenceRoster::Changes PresenceRoster::changes(size_t limit, Monotonic now) {
    prune(now);
    Changes changes;
    // First, since a member that was announced and has left since then must be stored again to leave.
    while (!joining_.empty() && changes.joins.size() < limit) {
        Row& row = *joining_.begin()->second;
        stay(row);
        changes.joins.push_back({{*row.channel->name, *row.member}, row.told == Told::yes});
    }
    for (auto it = leaving_.begin(); it != leaving_.end() && it->first <= now; ++it) {
        if (changes.joins.size() + changes.leaves.size() >= limit)
            break;
        const Row& row = *it->second;
        if (row.stored)
            changes.leaves.emplace_back(*row.channel->name, *row.member);
    }
    return changes;
}

void PresenceRoster::written(const Changes& changes) {
    for (const Join& join : changes.joins)
        if (Row* const row = find(join.who)) {
            set_stored(*row, true);
            row->told = Told::yes;
        }
    for (const Pair& who : changes.leaves) {
        Row* const row = find(who);
        if (!row)
            continue;
        set_stored(*row, false);
        row->told = Told::no;
        if (row->connections) {
            join(*row); // it came back meanwhile
            continue;
        }
        leaving_.erase({row->due, row});
        erase(*row);
    }
}

void PresenceRoster::doubt(const Changes& changes) {
    for (const Join& join : changes.joins)
        if (Row* const row = find(join.who); row && row->told == Told::no)
            row->told = Told::perhaps;
    for (const Pair& who : changes.leaves)
        if (Row* const row = find(who))
            row->told = Told::perhaps;
}

size_t PresenceRoster::give_up(const Changes& changes, const std::function<bool(const Pair&)>& suspicious) {
    const bool all =
        std::ranges::none_of(changes.joins, [&](const Join& join) { return suspicious(join.who); });
    size_t given_up = 0;
    for (const Join& each : changes.joins) {
        Row* const row = find(each.who);
        if (!row)
            continue;
        if (all || suspicious(each.who)) {
            row->told = Told::no; // and it is in joining_ no more
            ++given_up;
        } else {
            join(*row);
        }
    }
    return given_up;
}

void PresenceRoster::assume(const std::vector<Pair>& stored, bool emptied, Monotonic now) {
    for (auto& [name, channel] : channels_)
        for (auto& [member, row] : channel.members) {
            if (row.stored && !emptied)
                row.told = Told::no; // unless it is still there, others have told that it has left
            set_stored(row, false);
        }
    for (const Pair& who : stored) {
        Row* row = find(who);
        if (!row) {
            // Of an earlier process of this gateway: its clients may come back.
            row = &make(who.first, who.second);
            row->due = now + bounds_.grace;
            leaving_.emplace(row->due, row);
        }
        set_stored(*row, true);
    }
    for (auto& [name, channel] : channels_)
        for (auto& [member, row] : channel.members) {
            if (row.stored) {
                stay(row);
                row.told = Told::yes;
                continue;
            }
            join(row);
        }
}

PresenceRoster::Row* PresenceRoster::find(const Pair& who) {
    const auto channel = channels_.find(who.first);
    if (channel == channels_.end())
        return nullptr;
    const auto row = channel->second.members.find(who.second);
    return row == channel->second.members.end() ? nullptr : &row->second;
}

bool PresenceRoster::has_place(const std::string& name) const {
    const auto channel = channels_.find(name);
    return rows_ < bounds_.rows &&
           (channel == channels_.end() || channel->second.members.size() < bounds_.members);
}

PresenceRoster::Row& PresenceRoster::make(const std::string& name, const std::string& member) {
    const auto [channel, is_new] = channels_.try_emplace(name);
    if (is_new)
        channel->second.name = &channel->first;
    const auto [entry, added] = channel->second.members.try_emplace(member);
    entry->second.channel = &channel->second;
    entry->second.member = &entry->first;
    ++rows_;
    return entry->second;
}

// It is to be stored.
void PresenceRoster::join(Row& row) {
    if (row.turn == 0) {
        row.turn = ++last_turn_;
        joining_.emplace(row.turn, &row);
    }
}

void PresenceRoster::stay(Row& row) {
    joining_.erase(std::exchange(row.turn, 0));
}

void PresenceRoster::hold(Row& row) {
    if (row.connections++ == 0)
        leaving_.erase({row.due, &row});
}

void PresenceRoster::release(Row& row, Monotonic now) {
    if (--row.connections)
        return;
    row.due = now + bounds_.grace;
    leaving_.emplace(row.due, &row);
}

// It is in leaving_ no more.
void PresenceRoster::erase(Row& row) {
    stay(row);
    set_stored(row, false);
    Channel& channel = *row.channel;
    channel.members.erase(channel.members.find(*row.member));
    --rows_;
    if (channel.members.empty())
        channels_.erase(channels_.find(*channel.name));
}

void PresenceRoster::set_stored(Row& row, bool stored) {
    stored_ += static_cast<size_t>(stored) - static_cast<size_t>(row.stored);
    row.stored = stored;
}

} // namespace odoo_bus
