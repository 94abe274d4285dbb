// What waits for Odoo: how much runs at once, who is next, who waits too long, and the breaker.
#include "auth/odoo/odoo_queue.h"

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
    int probes = 0;
    Monotonic now = MonotonicClock::now();

    void add(const std::string& client, const std::string& name, Priority priority = Priority::interactive) {
        queue.add({.client = client,
                   .priority = priority,
                   .run = [this, name] { ran.push_back(name); },
                   .drop = [this, name](const std::string&) { dropped.push_back(name); }},
                  now);
    }
    void done(const std::string& client = "x", bool answered = true) {
        queue.done(client, answered, now - 10ms, now);
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
        queue.done("x", true, now - 400ms, now);
    }
    for (int i = 0; i < 20; ++i)
        add("x", "x");
    ASSERT_TRUE(queue.refusal(now));
    EXPECT_GE(queue.refusal(now)->retry_after, 2u);
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
