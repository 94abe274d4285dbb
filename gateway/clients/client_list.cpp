// What a service thread tells an administrator of its clients.
#include "clients/client_list.h"

#include <algorithm>
#include <functional>
#include <iterator>
#include <tuple>
#include <utility>

#include "clients/session.h"
#include "common/ascii_json.h"

namespace odoo_bus {

namespace {

auto urgency(const ClientList::Client& client) {
    return std::make_tuple(client.is_behind, client.queued_bytes, client.memory_bytes);
}

ClientList::Client client_of(const Session& session, Monotonic now) {
    const auto& account = session.charge().account();
    return {.address = account ? account->name() : "",
            .transport = session.transport(),
            .database = session.feed() ? session.feed()->database : "",
            .channels = session.subscriptions(),
            .is_behind = session.is_behind(),
            .queued_bytes = session.queued_bytes(),
            .memory_bytes = session.charge().bytes(),
            .connected = now - session.connected_since()};
}

// Sorts the first `count` of them to the front, by `key`, the greatest first, and drops the others.
template <class Row, class Key>
void keep_greatest(std::vector<Row>& rows, size_t count, Key key) {
    const auto middle = rows.begin() + static_cast<std::ptrdiff_t>(std::min(rows.size(), count));
    std::partial_sort(rows.begin(), middle, rows.end(), [&key](const Row& one, const Row& other) {
        return std::invoke(key, one) > std::invoke(key, other);
    });
    rows.erase(middle, rows.end());
}

void add_slowest(ClientList& list, const SessionMap& sessions) {
    struct Ranked {
        std::tuple<bool, uint64_t, uint64_t> urgency;
        const Session* session;
    };
    std::vector<Ranked> ranked;
    ranked.reserve(sessions.size());
    for (const auto& [number, session] : sessions)
        ranked.push_back(
            {{session->is_behind(), session->queued_bytes(), session->charge().bytes()}, session.get()});
    keep_greatest(ranked, ClientList::MOST_CLIENTS, &Ranked::urgency);
    const Monotonic now = MonotonicClock::now();
    for (const Ranked& each : ranked)
        list.clients.push_back(client_of(*each.session, now));
}

void add_biggest(ClientList& list, const FeedMap& feeds) {
    struct Ranked {
        size_t subscribers;
        const DatabaseFeed* feed;
        const Channel* channel;
    };
    std::vector<Ranked> ranked;
    size_t left = ClientList::MOST_CHANNELS;
    for (const auto& [database, feed] : feeds) {
        for (const auto& [name, channel] : feed->fan_out.index()) {
            if (left-- == 0) {
                list.is_complete = false;
                break;
            }
            if (!channel->subscribers.empty())
                ranked.push_back({channel->subscribers.size(), feed.get(), channel.get()});
        }
        if (!list.is_complete)
            break;
    }
    keep_greatest(ranked, ClientList::MOST_BIG_CHANNELS, &Ranked::subscribers);
    for (const auto& [subscribers, feed, channel] : ranked)
        list.channels.push_back({feed->database, channel->name, subscribers});
}

} // namespace

ClientList slowest_clients(const SessionMap& sessions, const FeedMap& feeds) {
    const Monotonic began = MonotonicClock::now();
    ClientList list;
    add_slowest(list, sessions);
    add_biggest(list, feeds);
    list.took = MonotonicClock::now() - began;
    return list;
}

ClientList clients_of_channel(const FeedMap& feeds, const std::string& asked) {
    const Monotonic began = MonotonicClock::now();
    ClientList list;
    for (const auto& [database, feed] : feeds) {
        std::string stored;
        if (asked.starts_with('['))
            stored = asked;
        else if (!write_channel(stored, database, asked))
            continue;
        const auto found = feed->fan_out.index().find(stored);
        if (found == feed->fan_out.index().end())
            continue;
        const auto& subscribers = found->second->subscribers;
        list.channels.push_back({database, stored, subscribers.size()});
        for (const Channel::Entry& entry : subscribers) {
            if (list.clients.size() >= ClientList::MOST_CLIENTS)
                break;
            // Sessions are the only subscribers of a service.
            list.clients.push_back(client_of(static_cast<const Session&>(*entry.subscriber), began));
        }
    }
    list.took = MonotonicClock::now() - began;
    return list;
}

void merge(ClientList& all, ClientList&& more) {
    std::ranges::move(more.clients, std::back_inserter(all.clients));
    keep_greatest(all.clients, ClientList::MOST_CLIENTS, urgency);
    std::map<std::pair<std::string, std::string>, size_t> counts;
    for (auto* const channels : {&all.channels, &more.channels})
        for (ClientList::Channel& each : *channels)
            counts[{std::move(each.database), std::move(each.name)}] += each.subscribers;
    all.channels.clear();
    for (auto& [key, subscribers] : counts)
        all.channels.push_back({key.first, key.second, subscribers});
    keep_greatest(all.channels, ClientList::MOST_BIG_CHANNELS, &ClientList::Channel::subscribers);
    all.is_complete &= more.is_complete;
    all.took = std::max(all.took, more.took);
}

} // namespace odoo_bus
