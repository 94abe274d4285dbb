#include "clients/client_list.h"

#include <gtest/gtest.h>

#include "clients/session.h"

namespace odoo_bus {
namespace {

class Listener final : public Subscriber {
public:
    bool writable() override { return true; }
    void write(const std::string&) override {}
    void want_writable() override {}
    void fell_behind(std::string_view) override {}
};

DatabaseFeed& add_feed(FeedMap& feeds, const std::string& name) {
    return *(feeds[name] = std::make_unique<DatabaseFeed>(
                 name, FanOut::Bounds{.queue_bytes = 1'000, .queue_time = std::chrono::seconds(1)}));
}

ClientList::Client client(bool is_behind, uint64_t queued, uint64_t memory) {
    return {.address = "192.0.2.1",
            .transport = Transport::websocket,
            .database = "a",
            .channels = 1,
            .is_behind = is_behind,
            .queued_bytes = queued,
            .memory_bytes = memory,
            .connected = {}};
}

TEST(ClientList, FindsTheBiggestChannelsOfAllDatabases) {
    FeedMap feeds;
    DatabaseFeed &a = add_feed(feeds, "a"), &b = add_feed(feeds, "b");
    std::vector<Listener> listeners(5);
    for (size_t i = 0; i < 3; ++i)
        a.fan_out.subscribe(listeners[i], std::vector<std::string>{"small", i == 0 ? "one" : "small"}, 0);
    for (size_t i = 3; i < 5; ++i)
        b.fan_out.subscribe(listeners[i], std::vector<std::string>{"medium"}, 0);
    const ClientList list = slowest_clients({}, feeds);
    ASSERT_EQ(list.channels.size(), 3u);
    EXPECT_EQ(list.channels[0].name, "small");
    EXPECT_EQ(list.channels[0].subscribers, 3u);
    EXPECT_EQ(list.channels[1].database, "b");
    EXPECT_EQ(list.channels[2].subscribers, 1u);
    EXPECT_TRUE(list.is_complete);
    for (size_t i = 0; i < 5; ++i)
        (i < 3 ? a : b).fan_out.unsubscribe(listeners[i]);
}

TEST(ClientList, LooksAtNoMoreChannelsThanItMay) {
    FeedMap feeds;
    DatabaseFeed& feed = add_feed(feeds, "a");
    Listener listener;
    std::vector<std::string> names(ClientList::MOST_CHANNELS);
    for (size_t i = 0; i < names.size(); ++i)
        names[i] = std::to_string(i);
    feed.fan_out.subscribe(listener, names, 0);
    EXPECT_TRUE(slowest_clients({}, feeds).is_complete);
    names.emplace_back("one more");
    feed.fan_out.subscribe(listener, names, 0);
    const ClientList list = slowest_clients({}, feeds);
    EXPECT_FALSE(list.is_complete);
    EXPECT_EQ(list.channels.size(), ClientList::MOST_BIG_CHANNELS);
    feed.fan_out.unsubscribe(listener);
}

TEST(ClientList, FindsAChannelByItsTextAndAsStored) {
    FeedMap feeds;
    add_feed(feeds, "a");
    DatabaseFeed& feed = add_feed(feeds, "b\"");
    auto batch = std::make_shared<Batch>();
    batch->push_back({.id = 1,
                      .position = 1,
                      .fingerprint = 0,
                      .dispatched = {},
                      .ahead = false,
                      .channel = R"(["b\"","caf\u00e9"])",
                      .element = "{}"});
    feed.fan_out.publish(batch, 0);
    for (const char* const asked : {"café", R"(["b\"","caf\u00e9"])"}) {
        const ClientList list = clients_of_channel(feeds, asked);
        ASSERT_EQ(list.channels.size(), 1u) << asked;
        EXPECT_EQ(list.channels[0].database, "b\"");
        EXPECT_EQ(list.channels[0].subscribers, 0u);
    }
    for (const char* const asked : {"cafe", "", "[", "\xff", R"(["a","café"])"})
        EXPECT_TRUE(clients_of_channel(feeds, asked).channels.empty()) << asked;
}

TEST(ClientList, MergesWhatThreadsTell) {
    ClientList all{.clients = {client(true, 10, 1)}, .channels = {{"a", "x", 2}, {"a", "y", 3}}};
    merge(all, {.clients = {client(false, 0, 99), client(true, 11, 0)},
                .channels = {{"a", "x", 2}, {"b", "y", 1}},
                .is_complete = false,
                .took = Duration(5)});
    ASSERT_EQ(all.clients.size(), 3u);
    EXPECT_EQ(all.clients[0].queued_bytes, 11u);
    EXPECT_EQ(all.clients[1].queued_bytes, 10u);
    EXPECT_EQ(all.clients[2].memory_bytes, 99u);
    ASSERT_EQ(all.channels.size(), 3u);
    EXPECT_EQ(all.channels[0].subscribers, 4u);
    EXPECT_EQ(all.channels[0].name, "x");
    EXPECT_EQ(all.channels[2].database, "b");
    EXPECT_FALSE(all.is_complete);
    EXPECT_EQ(all.took, Duration(5));
}

TEST(ClientList, MergesNoMoreThanAList) {
    ClientList all;
    for (uint64_t i = 0; i < 3; ++i) {
        ClientList more;
        for (uint64_t j = 0; j < ClientList::MOST_CLIENTS; ++j) {
            more.clients.push_back(client(true, i, j));
            more.channels.push_back({"a", std::to_string(1000 * i + j), i + 1});
        }
        merge(all, std::move(more));
    }
    EXPECT_EQ(all.clients.size(), ClientList::MOST_CLIENTS);
    EXPECT_EQ(all.clients.back().queued_bytes, 2u);
    EXPECT_EQ(all.channels.size(), ClientList::MOST_BIG_CHANNELS);
    EXPECT_EQ(all.channels.back().subscribers, 3u);
}

} // namespace
} // namespace odoo_bus
