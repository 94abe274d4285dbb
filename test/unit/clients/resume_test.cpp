// Where a client of one gateway resumes: single decisions, and random schedules against a reference that
// knows only what was committed, what was dispatched and what each client was given.
#include <array>

#include <gtest/gtest.h>

#include "clients/resume_fixture.h"
#include "seed.h"

using namespace odoo_bus;

namespace {

// --- single decisions ---

TEST_F(ResumeTest, AnIdThatWasDrawnAgainIsExactWithItsPosition) {
    SimulatedFeed gateway("gateway");
    dispatch(gateway, {1, 2, 3});
    gateway.feed.fan_out.forget(std::array<Position, 1>{3}); // the server has lost it
    gateway.known.erase(3);
    dispatch(gateway, {3, 4});
    const auto received = [&](const Provenance& from) {
        Connection connection(gateway, table_, from);
        connection.subscribe(after(3), MonotonicClock::now());
        connection.settle();
        return connection.received;
    };
    EXPECT_EQ(received({.named = true, .position = 4}), Ids({4}));
    EXPECT_EQ(received({.named = true}), Ids({3, 4}))
        << "the first position counts: nothing after it is lost";
    EXPECT_EQ(received({.named = true, .position = 2}), Ids({3, 4})) << "another id stands there";
    EXPECT_EQ(received({.named = true, .position = 9}), Ids({3, 4}));
    Connection connection(gateway, table_, {});
    EXPECT_TRUE(connection.resume().is_ambiguous(4));
    EXPECT_FALSE(connection.resume().is_ambiguous(2));
}

// Rows that a gateway found in the table when it began have the order of their ids there, in which no gateway
// need have given them.
TEST_F(ResumeTest, WhatWasReadFromTheTableWasNotGivenHere) {
    SimulatedFeed gateway("gateway");
    dispatch(gateway, {1, 2, 3, 4});
    const Provenance from{.named = true};
    const Resume resume(gateway.feed, *gateway.moved_clients, from);
    const auto position = [&] {
        return std::get<FromHistory>(resume.first(after(3), CHANNELS, MonotonicClock::now())).position;
    };
    EXPECT_EQ(position(), 3u);
    gateway.feed.adopted_until = 3;
    EXPECT_EQ(position(), 0u);
    EXPECT_FALSE(resume.is_ambiguous(3));
    gateway.feed.has_peers = true;
    EXPECT_TRUE(resume.is_ambiguous(3));
    EXPECT_FALSE(resume.is_ambiguous(4));
}

TEST_F(ResumeTest, TheSuccessorDecidesForClientsThatItDoesNotKnow) {
    SimulatedFeed gateway("gateway");
    dispatch(gateway, {1, 2, 3});
    gateway.evict(2);
    gateway.moved_clients->hand_over();
    const auto decide = [&](Id last, const Provenance& from) {
        return Resume(gateway.feed, *gateway.moved_clients, from)
            .first(after(last, true), CHANNELS, MonotonicClock::now());
    };
    EXPECT_TRUE(std::holds_alternative<FromHistory>(decide(2, {.named = true})));
    EXPECT_TRUE(std::holds_alternative<FromSuccessor>(decide(1, {.named = true}))) << "needs the table";
    EXPECT_TRUE(std::holds_alternative<FromSuccessor>(decide(2, {.named = true, .mover = 7})));
    gateway.moved_clients->take_back();
    EXPECT_TRUE(std::holds_alternative<FromTable>(decide(1, {.named = true})));
}

TEST_F(ResumeTest, AClientThatIsAheadGoesBackByWhatTwoGatewaysDifferIn) {
    SimulatedFeed gateway("gateway");
    dispatch(gateway, {1});
    pass(30s);
    dispatch(gateway, {2});
    pass(5s);
    dispatch(gateway, {3});
    const auto position = [&](Id last) {
        const ResumeDecision decision = Resume(gateway.feed, *gateway.moved_clients, {})
                                            .first(after(last), CHANNELS, MonotonicClock::now());
        return std::get<FromHistory>(decision).position;
    };
    EXPECT_EQ(position(9), 0u) << "what is younger than 50 s";
    gateway.feed.has_peers = true;
    EXPECT_EQ(position(9), 1u);
    const MovedClock<WallClock> set_forward(2h);
    EXPECT_EQ(position(9), 1u);
    EXPECT_EQ(position(0), 0u);
}

// The other gateway could not read for long, and has given what it had missed in the order of ids: 4, 5, 6,
// ...
TEST_F(ResumeTest, AClientOfAGatewayThatWasLateGoesBackToGreaterIds) {
    SimulatedFeed gateway("gateway");
    gateway.feed.has_peers = true;
    dispatch(gateway, {1});
    pass(30s);
    dispatch(gateway, {5});
    pass(30s);
    dispatch(gateway, {4});
    pass(30s);
    dispatch(gateway, {6});
    const Provenance elsewhere{};
    const Resume resume(gateway.feed, *gateway.moved_clients, elsewhere);
    const auto received_after = [&](Id last) {
        return std::get<FromHistory>(resume.first(after(last), CHANNELS, MonotonicClock::now())).position;
    };
    EXPECT_EQ(received_after(4), 1u) << "5 came after 4 there";
    EXPECT_EQ(received_after(5), 1u) << "the time goes back to before 5 itself";
    EXPECT_EQ(received_after(6), 3u);
}

TEST_F(ResumeTest, AGatewayThatWasStartedAnewKnowsLongAfterwardsWhatItGave) {
    SimulatedFeed gateway("gateway");
    const auto moved_s = static_cast<uint64_t>(microseconds(WallClock::now()) / 1'000'000);
    const Provenance from{.named = true, .mover = moved_s << 32 | 1};
    dispatch(gateway, {1, 2});
    pass(70s);
    dispatch(gateway, {3, 4});
    const auto position = [&](Id last) {
        gateway.moved_clients = std::make_unique<MovedClients>();
        return std::get<FromHistory>(Resume(gateway.feed, *gateway.moved_clients, from)
                                         .first(after(last), CHANNELS, MonotonicClock::now()))
            .position;
    };
    EXPECT_EQ(position(2), 0u) << "another gateway may have given it";
    EXPECT_EQ(position(4), 4u);
}

// A page of the table ends with a row that is committed and not dispatched yet.
TEST_F(ResumeTest, ARowThatIsStillToBeDispatchedEndsNoCatchUp) {
    SimulatedFeed gateway("gateway");
    dispatch(gateway, {1, 2, 3});
    gateway.evict(2);
    pass(30s); // what was dispatched before is no overlap
    Connection connection(gateway, table_, {});
    connection.subscribe(after(1), MonotonicClock::now());
    table_.rows.emplace(4, "a");
    gateway.evict(2);
    connection.settle();
    read(gateway);
    connection.settle();
    EXPECT_EQ(connection.received, Ids({2, 3, 4}));
}

// --- one gateway: everything once and in order, or all newer ids, or the client is told ---

class ResumeAtOneGateway : public ResumeTest {
protected:
    SimulatedFeed gateway_{"gateway"};
    std::unique_ptr<Connection> connection_;
    Ids given_; // to any connection

    // What the connection is to be given since the last check.
    std::map<std::string, Position> since_; // by channel: what was or will be dispatched after it
    std::set<Id> from_table_;
    bool is_outdated_ = false, is_reset_ = false;
    Position delivered_ = 0; // what it was given last, or where it began
    Position floor_ = 0;     // a channel that it left may have been given up to here

    Position oldest() const { return gateway_.feed.fan_out.oldest(); }
    std::optional<Position> position_of(Id id) const {
        for (const Notification& each : gateway_.dispatched)
            if (each.id == id && each.position >= oldest())
                return each.position;
        return std::nullopt;
    }
    bool is_known(const Subscribe& subscribe) const {
        return subscribe.last_is_integer && subscribe.last > 0 && subscribe.last <= gateway_.feed.newest;
    }
    Position first_sight(Monotonic now) const {
        Position position = oldest() - 1;
        for (const Notification& each : gateway_.dispatched)
            if (each.position >= oldest() && each.dispatched < now - 50s)
                position = each.position;
        return position;
    }
    // With a `last` that was ever given, or with none.
    Subscribe random_subscribe() {
        Subscribe subscribe;
        subscribe.channels = some_channels();
        if (chance(2))
            subscribe.check_outdated = true;
        subscribe.last_is_integer = !chance(10);
        if (subscribe.last_is_integer)
            subscribe.last = given_.empty() || chance(8) ? static_cast<Id>(random_() % 2) * 1'000'000
                                                         : given_[random_() % given_.size()];
        return subscribe;
    }
    void expect_table(const Subscribe& subscribe, const std::vector<std::string>& channels) {
        for (const auto& [row, channel] : table_.rows)
            if (row > (is_known(subscribe) ? subscribe.last : 0) && gateway_.known.contains(row) &&
                std::ranges::find(channels, channel) != channels.end())
                from_table_.insert(row);
        for (const std::string& channel : channels)
            since_[channel] = std::max(oldest() - 1, floor_);
        if (subscribe.check_outdated && is_known(subscribe))
            is_outdated_ = !table_.rows.contains(subscribe.last);
        else if (subscribe.check_outdated)
            is_reset_ = !subscribe.last_is_integer || subscribe.last > 0;
    }
    void connect() {
        disconnect();
        const Subscribe subscribe = random_subscribe();
        const auto position = position_of(subscribe.last);
        const Monotonic now = MonotonicClock::now();
        if (is_known(subscribe) ? position.has_value() : !subscribe.check_outdated) {
            delivered_ = is_known(subscribe) ? *position : first_sight(now);
            for (const std::string& channel : subscribe.channels)
                since_[channel] = delivered_;
        } else {
            delivered_ = oldest() - 1;
            expect_table(subscribe, subscribe.channels);
        }
        connection_ = std::make_unique<Connection>(gateway_, table_, Provenance{});
        connection_->subscribe(subscribe, now);
    }
    // Channels are added and left.
    void subscribe_anew() {
        check();
        if (!connection_)
            return;
        const Subscribe subscribe = random_subscribe();
        const std::set<std::string> wanted(subscribe.channels.begin(), subscribe.channels.end());
        std::vector<std::string> added;
        std::ranges::copy_if(wanted, std::back_inserter(added),
                             [this](auto& each) { return !since_.contains(each); });
        const auto position = position_of(subscribe.last);
        const bool has_left =
            std::erase_if(since_, [&](auto& each) { return !wanted.contains(each.first); }) > 0;
        if (!position && subscribe.check_outdated && !added.empty())
            expect_table(subscribe, added);
        else
            for (const std::string& channel : added)
                since_[channel] =
                    std::max({std::min(position.value_or(delivered_), delivered_), oldest() - 1, floor_});
        connection_->subscribe(subscribe, MonotonicClock::now());
        if (has_left)
            floor_ = gateway_.feed.fan_out.head();
    }
    // The connection has been given what it was to be given.
    void check() {
        if (!connection_)
            return;
        connection_->settle();
        if (connection_->has_fallen_behind)
            return forget();
        Ids from_history;
        for (const Notification& each : gateway_.dispatched)
            if (since_.contains(each.channel) && each.position > since_[each.channel]) {
                from_history.push_back(each.id);
                from_table_.erase(each.id);
                delivered_ = std::max(delivered_, each.position);
            }
        Ids expected(from_table_.begin(), from_table_.end());
        expected.insert(expected.end(), from_history.begin(), from_history.end());
        EXPECT_EQ(connection_->received, expected);
        EXPECT_EQ(connection_->is_outdated, is_outdated_);
        EXPECT_EQ(connection_->is_reset, is_reset_);
        given_.insert(given_.end(), expected.begin(), expected.end());
        connection_->received.clear();
        connection_->is_outdated = connection_->is_reset = is_outdated_ = is_reset_ = false;
        from_table_.clear();
        for (auto& each : since_)
            each.second = gateway_.feed.fan_out.head();
    }
    // What it was given counts for a later `last` all the same.
    void forget() {
        given_.insert(given_.end(), connection_->received.begin(), connection_->received.end());
        connection_.reset();
        since_.clear();
        from_table_.clear();
        is_outdated_ = is_reset_ = false;
        floor_ = 0;
    }
    void disconnect() {
        check();
        if (connection_)
            forget();
    }
    // The history, or the table, forgets what is old.
    void forget_old() {
        if (connection_ && connection_->is_catching_up())
            return;
        if (chance(2)) {
            check(); // or what waits for the connection is older than the history
            gateway_.evict(oldest() + random_() % (gateway_.feed.fan_out.head() - oldest() + 2));
        } else {
            std::erase_if(table_.rows, [this](const auto& row) {
                return row.first < table_.last_id - 10 && gateway_.known.contains(row.first) && chance(2);
            });
        }
    }
    void step() {
        switch (random_() % 12) {
        case 0:
            return connect();
        case 1:
            return subscribe_anew();
        case 2:
            return forget_old();
        case 3:
            return pass_up_to(40s);
        case 4:
            return disconnect();
        case 5:
        case 6:
            if (connection_)
                connection_->drain(static_cast<int>(random_() % 3));
            return;
        case 7:
        case 8:
            if (connection_)
                connection_->answer();
            return;
        default:
            write();
            read(gateway_);
        }
    }
};

TEST_F(ResumeAtOneGateway, RandomSchedules) {
    const uint64_t seed = test_seed();
    SCOPED_TRACE(again(seed));
    random_.seed(seed);
    for (int n = 0; n < (SANITIZED ? 300 : 1'500) && !HasFailure(); ++n) {
        table_ = {};
        given_.clear();
        gateway_.begin();
        for (int i = 0; i < 120 && !HasFailure(); ++i)
            step();
        disconnect();
    }
}

} // namespace
