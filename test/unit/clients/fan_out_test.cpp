// The fan-out: who is sent what, in which order, and from where a subscriber goes on.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>

#include "base/clock.h"
#include "clients/fan_out.h"
#include "moved_clock.h"
#include "seed.h"

using namespace odoo_bus;
using namespace std::chrono_literals;

namespace {

// A subscriber whose socket takes `room` frames before it is full.
class Client final : public Subscriber {
public:
    bool writable() override { return room > 0 && !closed; }
    void write(const std::string& frame) override {
        frames.push_back(frame.substr(FRAME_HEADROOM));
        --room;
    }
    void want_writable() override { wants = true; }
    void fell_behind(std::string_view) override { closed = true; }

    // The ids in all frames so far.
    std::vector<Id> ids() const {
        std::vector<Id> ids;
        for (const std::string& frame : frames)
            for (size_t at = 0; (at = frame.find("\"id\":", at)) != std::string::npos; ++at)
                ids.push_back(std::stoll(frame.substr(at + 5)));
        return ids;
    }

    int room = 1'000'000;
    bool wants = false;
    bool closed = false;
    std::vector<std::string> frames;
};

class FanOutTest : public testing::Test {
protected:
    // Dispatches one notification on each channel, as one batch.
    void publish(std::initializer_list<std::pair<Id, std::string>> rows, Position keep_from = 0,
                 std::string filling = {}) {
        auto batch = std::make_shared<Batch>();
        for (const auto& [id, channel] : rows)
            batch->push_back(
                {.id = id,
                 .position = ++head,
                 .fingerprint = 0,
                 .dispatched = MonotonicClock::now(),
                 .ahead = false,
                 .channel = channel,
                 .element = "{\"id\":" + std::to_string(id) + ",\"message\":\"" + filling + "\"}"});
        fan_out.publish(std::move(batch), keep_from);
    }
    // The same, to be written by flush().
    void enqueue(Id id, std::string channel, Position keep_from = 0, size_t length = 0) {
        auto batch = std::make_shared<Batch>();
        batch->push_back(
            {.id = id,
             .position = ++head,
             .fingerprint = 0,
             .dispatched = MonotonicClock::now(),
             .ahead = false,
             .channel = std::move(channel),
             .element = "{\"id\":" + std::to_string(id) + ",\"m\":\"" + std::string(length, 'x') + "\"}"});
        fan_out.enqueue(std::move(batch), keep_from);
    }
    void subscribe(Client& client, std::vector<std::string> channels, Position since) {
        fan_out.subscribe(client, channels, since);
    }

    Position head = 0;
    FanOut fan_out{{.queue_bytes = 1000, .queue_time = 1s, .frame_bytes = 200}};
};

using Ids = std::vector<Id>;

TEST_F(FanOutTest, SendsOnlyWhatIsSubscribed) {
    Client a, b;
    subscribe(a, {"x"}, 0);
    subscribe(b, {"x", "y"}, 0);
    publish({{1, "x"}, {2, "y"}, {3, "z"}});
    EXPECT_EQ(a.ids(), Ids({1}));
    EXPECT_EQ(b.ids(), Ids({1, 2}));
    fan_out.unsubscribe(a);
    fan_out.unsubscribe(b);
}

TEST_F(FanOutTest, ABatchIsOneFrameAndASingleNotificationToo) {
    Client client;
    subscribe(client, {"x", "y"}, 0);
    publish({{1, "x"}, {2, "y"}});
    publish({{3, "x"}});
    EXPECT_EQ(client.frames, (std::vector<std::string>{R"([{"id":1,"message":""},{"id":2,"message":""}])",
                                                       R"([{"id":3,"message":""}])"}));
    fan_out.unsubscribe(client);
}

TEST_F(FanOutTest, BatchesThatComeTogetherAreOneFrame) {
    Client client, other;
    subscribe(client, {"x", "y"}, 0);
    subscribe(other, {"y"}, 0);
    enqueue(1, "x");
    enqueue(2, "y");
    EXPECT_TRUE(client.frames.empty());
    fan_out.flush();
    EXPECT_EQ(client.frames, std::vector<std::string>{R"([{"id":1,"m":""},{"id":2,"m":""}])"});
    EXPECT_EQ(other.frames, std::vector<std::string>{R"([{"id":2,"m":""}])"});
    fan_out.flush();
    EXPECT_EQ(client.frames.size(), 1u);
    fan_out.unsubscribe(client);
    fan_out.unsubscribe(other);
}

TEST_F(FanOutTest, MuchThatComesTogetherDoesNotWait) {
    FanOut small{{.queue_bytes = 1'000'000,
                  .queue_time = Duration::max(),
                  .frame_bytes = 200,
                  .enqueued_bytes = 1000}};
    Client client;
    small.subscribe(client, std::vector<std::string>{"x"}, 0);
    for (Position position = 1; position <= 100; ++position) {
        auto batch = std::make_shared<Batch>();
        batch->push_back({static_cast<Id>(position),
                          position,
                          0,
                          {},
                          false,
                          "x",
                          "{\"id\":" + std::to_string(position) + "}" + std::string(40, ' ')});
        small.enqueue(std::move(batch), 0);
    }
    EXPECT_GT(client.ids().size(), 80u);
    small.unsubscribe(client);
}

TEST_F(FanOutTest, WhoAsksOrGoesWhileSomethingIsEnqueued) {
    Client leaves, goes, joins;
    subscribe(leaves, {"x"}, 0);
    subscribe(goes, {"x"}, 0);
    enqueue(1, "x");
    enqueue(2, "x");
    subscribe(leaves, {"y"}, 2); // what came before is still its own
    subscribe(joins, {"x"}, 1);
    fan_out.unsubscribe(goes);
    enqueue(3, "x");
    fan_out.flush();
    EXPECT_EQ(leaves.ids(), Ids({1, 2}));
    EXPECT_EQ(goes.ids(), Ids());
    EXPECT_EQ(joins.ids(), Ids({2, 3}));
    fan_out.unsubscribe(leaves);
    fan_out.unsubscribe(joins);
}

TEST_F(FanOutTest, TheHistoryIsForgottenAfterWhatIsEnqueuedIsWritten) {
    Client client;
    subscribe(client, {"x"}, 0);
    enqueue(1, "x");
    enqueue(2, "x", 2);
    enqueue(3, "x", 3);
    EXPECT_EQ(fan_out.oldest(), 1u);
    fan_out.flush();
    EXPECT_EQ(client.ids(), Ids({1, 2, 3}));
    EXPECT_EQ(fan_out.oldest(), 3u);
    EXPECT_FALSE(client.closed);
    fan_out.unsubscribe(client);
}

TEST_F(FanOutTest, ABurstThatIsWrittenAtOnceIsNotBeingBehind) {
    Client client;
    subscribe(client, {"x"}, 0);
    client.room = 12; // frames of 200 bytes
    for (Id id = 1; id <= 20; ++id)
        enqueue(id, "x", 0, 100);
    fan_out.flush(); // 20 x 119 bytes against a bound of 1000
    EXPECT_FALSE(client.closed);
    client.room = 100;
    fan_out.drain(client);
    EXPECT_EQ(client.ids().size(), 20u);
    fan_out.unsubscribe(client);
}

TEST_F(FanOutTest, GoesOnAfterThePositionInDispatchOrderNotAfterTheId) {
    publish({{7, "x"}});
    publish({{5, "x"}, {8, "x"}});
    Client client;
    subscribe(client, {"x"}, *fan_out.position_of(7));
    EXPECT_EQ(client.ids(), Ids({5, 8}));
    fan_out.unsubscribe(client);
}

TEST_F(FanOutTest, TheHistoryReachesBackExactlyAsFarAsItIsTold) {
    publish({{1, "x"}, {2, "x"}});
    publish({{3, "x"}});
    publish({{4, "x"}}, 2);
    EXPECT_EQ(fan_out.oldest(), 2u);
    EXPECT_FALSE(fan_out.position_of(1));
    Client client;
    subscribe(client, {"x"}, *fan_out.position_of(2));
    EXPECT_EQ(client.ids(), Ids({3, 4}));
    fan_out.unsubscribe(client);
}

TEST_F(FanOutTest, ASecondSubscribeSendsNothingTwiceAndLosesNothing) {
    publish({{1, "x"}, {2, "y"}, {3, "x"}});
    Client client;
    subscribe(client, {"x"}, 0);
    ASSERT_EQ(client.ids(), Ids({1, 3}));
    subscribe(client, {"x", "y"}, 1); // y: from position 1 on
    EXPECT_EQ(client.ids(), Ids({1, 3, 2}));
    publish({{4, "y"}, {5, "x"}});
    EXPECT_EQ(client.ids(), Ids({1, 3, 2, 4, 5}));
    fan_out.unsubscribe(client);
}

TEST_F(FanOutTest, AChannelThatIsLeftAndJoinedAgainIsNotSentAgain) {
    Client client;
    subscribe(client, {"x"}, 0);
    publish({{1, "x"}, {2, "x"}});
    subscribe(client, {}, 0);
    subscribe(client, {"x"}, 0); // an old `last`
    EXPECT_EQ(client.ids(), Ids({1, 2}));
    fan_out.unsubscribe(client);
}

TEST_F(FanOutTest, ABacklogIsDrainedInFramesOfBoundedLength) {
    Client client;
    subscribe(client, {"x"}, 0);
    client.room = 0;
    for (Id id = 1; id <= 30; ++id)
        publish({{id, "x"}});
    EXPECT_TRUE(client.wants);
    client.room = 1'000'000;
    fan_out.drain(client);
    EXPECT_EQ(client.ids().size(), 30u);
    EXPECT_GT(client.frames.size(), 2u);
    EXPECT_LT(client.frames.size(), 30u);
    for (const std::string& frame : client.frames)
        EXPECT_LE(frame.size(), 200u + 2);
    EXPECT_FALSE(client.is_behind());
    fan_out.unsubscribe(client);
}

TEST_F(FanOutTest, WhoFallsTooFarBehindIsClosedAndOthersAreNot) {
    Client slow, quick;
    subscribe(slow, {"x"}, 0);
    subscribe(quick, {"x"}, 0);
    slow.room = 0;
    for (Id id = 1; id <= 30; ++id)
        publish({{id, "x"}}, 0, std::string(50, '.'));
    fan_out.check_progress(slow, MonotonicClock::now());
    EXPECT_TRUE(slow.closed);
    EXPECT_FALSE(quick.closed);
    EXPECT_EQ(quick.ids().size(), 30u);
    fan_out.unsubscribe(slow);
    fan_out.unsubscribe(quick);
}

TEST_F(FanOutTest, OneNotificationLargerThanTheBoundIsNoReasonToClose) {
    Client client;
    subscribe(client, {"x"}, 0);
    client.room = 0;
    publish({{1, "x"}}, 0, std::string(5000, '.'));
    fan_out.check_progress(client, MonotonicClock::now());
    EXPECT_FALSE(client.closed);
    client.room = 1;
    fan_out.drain(client);
    EXPECT_EQ(client.ids(), Ids({1}));
    fan_out.unsubscribe(client);
}

TEST_F(FanOutTest, WhoCatchesUpMayBeFurtherBehindThanTheBound) {
    for (Id id = 1; id <= 50; ++id)
        publish({{id, "x"}}, 0, std::string(50, '.'));
    Client client;
    client.room = 1;
    subscribe(client, {"x"}, 0);
    fan_out.check_progress(client, MonotonicClock::now());
    EXPECT_FALSE(client.closed);
    client.room = 1'000'000;
    fan_out.drain(client);
    EXPECT_EQ(client.ids().size(), 50u);
    fan_out.unsubscribe(client);
}

TEST_F(FanOutTest, WhoDoesNotReadForTooLongIsClosed) {
    Client client;
    subscribe(client, {"x"}, 0);
    client.room = 0;
    publish({{1, "x"}});
    fan_out.check_progress(client, MonotonicClock::now());
    EXPECT_FALSE(client.closed);
    {
        const MovedClock<WallClock> set_forward(2h);
        fan_out.check_progress(client, MonotonicClock::now());
        EXPECT_FALSE(client.closed);
    }
    const MovedClock<MonotonicClock> later(2s);
    fan_out.check_progress(client, MonotonicClock::now());
    EXPECT_TRUE(client.closed);
    fan_out.unsubscribe(client);
}

TEST_F(FanOutTest, WhoIsBehindTheHistoryIsClosedNotSkipped) {
    Client client;
    subscribe(client, {"x"}, 0);
    client.room = 0;
    publish({{1, "x"}});
    publish({{2, "x"}});
    publish({{3, "x"}}, 3); // forgets 1 and 2
    client.room = 10;
    fan_out.drain(client);
    EXPECT_TRUE(client.closed);
    EXPECT_EQ(client.ids(), Ids({}));
    fan_out.unsubscribe(client);
}

TEST_F(FanOutTest, AHeldSubscriberIsGivenNothingUntilItIsReleased) {
    publish({{1, "x"}});
    Client client;
    fan_out.hold(client);
    subscribe(client, {"x"}, 0);
    publish({{2, "x"}});
    EXPECT_EQ(client.ids(), Ids({}));
    fan_out.release(client);
    EXPECT_EQ(client.ids(), Ids({1, 2}));
    fan_out.unsubscribe(client);
}

TEST_F(FanOutTest, WhatWasLostIsNotReplayedAndNothingElseIsMissed) {
    publish({{1, "x"}, {2, "x"}, {3, "x"}});
    const Position lost[] = {2};
    fan_out.forget(lost);
    Client client;
    subscribe(client, {"x"}, 0);
    EXPECT_EQ(client.ids(), Ids({1, 3}));
    fan_out.unsubscribe(client);
}

TEST_F(FanOutTest, ChannelsGoWithTheirLastSubscriberAndNotification) {
    Client client;
    subscribe(client, {"x", "y"}, 0);
    publish({{1, "z"}});
    EXPECT_EQ(fan_out.channels(), 3u);
    fan_out.unsubscribe(client);
    EXPECT_EQ(fan_out.channels(), 1u);
    fan_out.forget_history(head);
    EXPECT_EQ(fan_out.channels(), 0u);
}

TEST_F(FanOutTest, BeforeFindsTheFirstNotificationOfATime) {
    auto batch = std::make_shared<Batch>();
    for (Position position = 1; position <= 5; ++position)
        batch->push_back(
            {static_cast<Id>(position), position, 0, Monotonic(Duration(position * 100)), false, "x", "{}"});
    fan_out.adopt(batch);
    EXPECT_EQ(fan_out.before(Monotonic()), 0u);
    EXPECT_EQ(fan_out.before(Monotonic(300us)), 2u);
    EXPECT_EQ(fan_out.before(Monotonic(1000us)), 5u);
}

TEST_F(FanOutTest, BeforeIdsAboveFindsTheFirstGreaterId) {
    EXPECT_EQ(fan_out.before_ids_above(0), 0u);
    publish({{10, "x"}, {30, "x"}, {20, "x"}, {40, "x"}});
    EXPECT_EQ(fan_out.before_ids_above(5), 0u);
    EXPECT_EQ(fan_out.before_ids_above(10), 1u);
    EXPECT_EQ(fan_out.before_ids_above(20), 1u) << "30 came before 20";
    EXPECT_EQ(fan_out.before_ids_above(30), 3u);
    EXPECT_EQ(fan_out.before_ids_above(40), 4u);
    publish({{50, "x"}}, 3); // forgets the first two
    EXPECT_EQ(fan_out.before_ids_above(20), 2u) << "30 was before everything that is known";
    EXPECT_EQ(fan_out.before_ids_above(40), 4u);
}

TEST_F(FanOutTest, AnIdThatSomebodyChoseIsAboveNoOther) {
    auto batch = std::make_shared<Batch>();
    batch->push_back({10, 1, 0, {}, false, "x", "{}"});
    batch->push_back({1'000'000, 2, 0, {}, true, "x", "{}"});
    batch->push_back({20, 3, 0, {}, false, "x", "{}"});
    fan_out.adopt(batch);
    EXPECT_EQ(fan_out.before_ids_above(10), 2u);
    EXPECT_EQ(fan_out.before_ids_above(20), 3u);
}

// Random subscribes, blocked sockets and batches: each client gets exactly what was dispatched on each
// channel while it was subscribed, in dispatch order.
TEST_F(FanOutTest, RandomSchedulesDeliverExactlyOnce) {
    const uint64_t seed = test_seed();
    SCOPED_TRACE(again(seed));
    std::mt19937_64 random(seed);
    const std::vector<std::string> names = {"a", "b", "c", "d"};
    for (int schedule = 0; schedule < 300; ++schedule) {
        FanOut many{{.queue_bytes = SIZE_MAX, .queue_time = Duration::max(), .frame_bytes = 100}};
        std::vector<Client> clients(3);
        std::vector<std::set<std::string>> subscribed(3);
        std::vector<std::multiset<Id>> expected(3);
        Id id = 0;
        for (int step = 0; step < 60; ++step) {
            const size_t i = random() % clients.size();
            switch (random() % 4) {
            case 0: {
                clients[i].room = 1'000; // what waits on a channel that it leaves would be dropped
                many.drain(clients[i]);
                std::vector<std::string> wanted;
                std::ranges::copy_if(names, std::back_inserter(wanted), [&](auto&) { return random() % 2; });
                many.subscribe(clients[i], wanted, many.head());
                subscribed[i] = {wanted.begin(), wanted.end()};
                break;
            }
            case 1:
                clients[i].room = static_cast<int>(random() % 3);
                break;
            case 2:
                many.drain(clients[i]);
                break;
            default:
                auto batch = std::make_shared<Batch>();
                for (size_t n = random() % 4 + 1; n > 0; --n) {
                    const std::string& name = names[random() % names.size()];
                    ++id;
                    batch->push_back({id, static_cast<Position>(id), 0, Monotonic(Duration(id)), false, name,
                                      "{\"id\":" + std::to_string(id) + "}"});
                    for (size_t c = 0; c < clients.size(); ++c)
                        if (subscribed[c].contains(name))
                            expected[c].insert(id);
                }
                many.enqueue(std::move(batch), 0);
                if (random() % 2)
                    many.flush();
            }
        }
        many.flush();
        for (size_t c = 0; c < clients.size(); ++c) {
            clients[c].room = 1'000'000;
            many.drain(clients[c]);
            const Ids got = clients[c].ids();
            EXPECT_EQ(std::multiset<Id>(got.begin(), got.end()), expected[c]);
            EXPECT_TRUE(std::ranges::is_sorted(got));
            many.unsubscribe(clients[c]);
        }
    }
}

} // namespace
