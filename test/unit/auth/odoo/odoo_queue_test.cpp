// What waits for Odoo: how much runs at once, who is next, who waits too long, and the breaker.
#include "auth/odoo/odoo_queue.h"

#include <algorithm>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace odoo_bus {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;
using Priority = OdooQueue::Priority;

class OdooQueueTest : public testing::Test {
protected:
    OdooQueue queue{{.concurrency = 2, .wait = 1s, .waiting = 100, .failures = 3}, [this] { ++probes; }};
    std::vector<std::string> ran, dropped;
    std::set<std::string> gone; // nobody waits for these any more
    int probes = 0;
    Monotonic now = MonotonicClock::now();

    void add(const std::string& client, const std::string& name, Priority priority = Priority::interactive) {
        add_for({.client = client}, name, priority);
    }
    void add_for(const OdooQueue::Turn& turn, const std::string& name,
                 Priority priority = Priority::interactive) {
        queue.add({.turn = turn,
                   .priority = priority,
                   .is_wanted = [this, name] { return !gone.contains(name); },
                   .run = [this, name] { ran.push_back(name); },
                   .drop = [this, name](const std::string&) { dropped.push_back(name); }},
                  now);
    }
    void done(const std::string& client = "x", bool answered = true) {
        done_for({.client = client}, answered);
    }
    void done_for(const OdooQueue::Turn& turn, bool answered = true) {
        queue.done(turn, answered, now - 10ms, now);
    }
    void fail_by_three() {
        for (const char* client : {"x", "y", "z"}) {
            add(client, client);
            done(client, false);
        }
    }
};

TEST_F(OdooQueueTest, RunsNoMoreThanMayRun) {
    for (const char* name : {"1", "2", "3", "4"})
        add(name, name);
    EXPECT_THAT(ran, ElementsAre("1", "2"));
    done();
    EXPECT_THAT(ran, ElementsAre("1", "2", "3"));
    EXPECT_EQ(queue.running(), 2u);
}

TEST_F(OdooQueueTest, ClientsTakeTurns) {
    for (const char* name : {"a1", "a2", "a3", "a4", "a5"})
        add("a", name);
    add("b", "b1");
    add("c", "c1");
    for (int i = 0; i < 5; ++i)
        done();
    EXPECT_THAT(ran, ElementsAre("a1", "a2", "a3", "b1", "c1", "a4", "a5"));
}

TEST_F(OdooQueueTest, InteractiveBeforePresenceBeforeBackground) {
    add("x", "1");
    add("x", "2");
    add("a", "background", Priority::background);
    add("b", "presence", Priority::presence);
    add("c", "interactive");
    done();
    done();
    EXPECT_THAT(ran, ElementsAre("1", "2", "interactive", "presence"));
    done();
    EXPECT_EQ(ran.size(), 4u); // one of two places is kept free of background work
    done();
    EXPECT_EQ(ran.back(), "background");
}

TEST_F(OdooQueueTest, WhatWaitsTooLongIsDropped) {
    for (const char* name : {"1", "2", "3"})
        add(name, name);
    now += 500ms;
    add("4", "4");
    now += 600ms;
    queue.tick(now);
    EXPECT_THAT(dropped, ElementsAre("3"));
    done();
    EXPECT_THAT(ran, ElementsAre("1", "2", "4"));
}

TEST_F(OdooQueueTest, IsBounded) {
    for (int i = 0; i < 103; ++i)
        add("x", std::to_string(i));
    EXPECT_THAT(dropped, ElementsAre("102"));
    EXPECT_EQ(queue.waiting(), 100u);
}

TEST_F(OdooQueueTest, RefusesWhoWouldWaitTooLong) {
    EXPECT_EQ(queue.refusal(now), std::nullopt);
    for (int i = 0; i < 40; ++i) { // the average becomes what these take
        add("x", "x");
        queue.done({.client = "x"}, true, now - 400ms, now);
    }
    for (int i = 0; i < 20; ++i)
        add_for({.client = "x", .address = "a"}, "x");
    ASSERT_TRUE(queue.crowded().contains("a"));
    EXPECT_GE(queue.crowded().at("a").retry_after, 2u);
    EXPECT_EQ(queue.refusal(now), std::nullopt) << "an address that waits for nothing has the next turn";
    for (int i = 0; i < 20; ++i)
        add_for({.client = "x", .address = std::to_string(i)}, "x");
    ASSERT_TRUE(queue.refusal(now));
    EXPECT_GE(queue.refusal(now)->retry_after, 2u);
}

TEST_F(OdooQueueTest, CookiesThatAreMadeUpGiveNoSecondShare) {
    add_for({.client = "x"}, "1");
    add_for({.client = "x"}, "2");
    for (int i = 0; i < 50; ++i)
        add_for({.client = "made up " + std::to_string(i), .address = "bad"}, "bad");
    add_for({.client = "session", .address = "good"}, "good");
    add_for({.client = "", .address = "visitor"}, "visitor");
    for (int i = 0; i < 4; ++i)
        done();
    EXPECT_THAT(ran, ElementsAre("1", "2", "bad", "good", "visitor", "bad"));
}

TEST_F(OdooQueueTest, AnAddressLeavesPlacesToOthers) {
    queue.set_bounds({.concurrency = 8, .wait = 1s, .waiting = 100, .failures = 3});
    for (int i = 0; i < 20; ++i)
        add_for({.client = std::to_string(i), .address = "a"}, "a");
    EXPECT_EQ(queue.running(), 6u);
    for (int i = 0; i < 20; ++i)
        add_for({.client = std::to_string(i)}, "not known"); // of which each may be another's
    EXPECT_EQ(queue.running(), 8u);
    done_for({.client = "0", .address = "a"});
    EXPECT_EQ(queue.running(), 8u);
    EXPECT_EQ(std::ranges::count(ran, "a"), 7) << "its place is its own again";
}

TEST_F(OdooQueueTest, WhenItIsFullTheLargestGivesWay) {
    add_for({.client = "x"}, "1");
    add_for({.client = "x"}, "2");
    for (int i = 0; i < 100; ++i)
        add_for({.client = std::to_string(i), .address = "many"}, "many " + std::to_string(i));
    add_for({.client = "x", .address = "few"}, "few");
    EXPECT_THAT(dropped, ElementsAre("many 99"));
    EXPECT_EQ(queue.waiting(), 100u);
    done();
    done();
    EXPECT_THAT(ran, ElementsAre("1", "2", "many 0", "few"));
}

TEST_F(OdooQueueTest, WhatNobodyWaitsForIsNotAsked) {
    for (const char* name : {"1", "2", "3", "4", "5"})
        add(name, name);
    gone = {"3", "4"};
    done();
    EXPECT_THAT(ran, ElementsAre("1", "2", "5"));
    EXPECT_THAT(dropped, ElementsAre("3", "4"));
}

TEST_F(OdooQueueTest, ShedsWhatExceeds) {
    MemoryAccounts accounts;
    const auto large = accounts.of(Address::parse("192.0.2.1")),
               small = accounts.of(Address::parse("192.0.2.2"));
    const MemoryCharge held(small, 10'000);
    add("x", "1");
    add("x", "2");
    for (int i = 0; i < 10; ++i) {
        const auto charge = std::make_shared<MemoryCharge>(large, 100'000);
        queue.add({.turn = {.client = std::to_string(i), .address = large->name()},
                   .account = large,
                   .run = [this, charge] { ran.emplace_back("large"); },
                   .drop = [this, i](const std::string&) { dropped.push_back(std::to_string(i)); }},
                  now);
    }
    queue.add({.turn = {.address = small->name()},
               .account = small,
               .run = [this] { ran.emplace_back("small"); },
               .drop = [this](const std::string&) { dropped.emplace_back("small"); }},
              now);
    queue.shed();
    EXPECT_THAT(dropped, IsEmpty());
    accounts.lower(250'000);
    queue.shed();
    EXPECT_THAT(dropped, ElementsAre("9", "8", "7"));
    EXPECT_EQ(large->held(), 700'000u);
    EXPECT_EQ(queue.waiting(), 8u);
}

TEST_F(OdooQueueTest, OpensAfterFailuresOfSeveralClientsAndClosesWhenProbed) {
    fail_by_three();
    EXPECT_TRUE(queue.is_open());
    EXPECT_TRUE(queue.refusal(now));
    add("w", "waits");
    EXPECT_THAT(ran, ElementsAre("x", "y", "z"));
    now += 200ms;
    queue.tick(now);
    queue.tick(now);
    EXPECT_EQ(probes, 1);
    queue.failed(now);
    queue.tick(now);
    EXPECT_EQ(probes, 1);
    now += 400ms;
    queue.tick(now);
    EXPECT_EQ(probes, 2);
    queue.recovered();
    EXPECT_EQ(queue.refusal(now), std::nullopt);
    EXPECT_EQ(ran.back(), "waits");
}

TEST_F(OdooQueueTest, OneClientAloneOpensNothing) {
    for (int i = 0; i < 10; ++i) {
        add("x", "x");
        done("x", false);
    }
    EXPECT_FALSE(queue.is_open());
    add("y", "y");
    done("y", true);
    fail_by_three();
    EXPECT_TRUE(queue.is_open());
}

} // namespace
} // namespace odoo_bus
