// The socket between two processes: what is sent arrives, and a decision is made once.
#include "take_over/link.h"

#include <csignal>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/overloaded.h"

namespace odoo_bus {
namespace {

using take_over::Go, take_over::OfDatabase, take_over::Prepared, take_over::Rotation, take_over::Taken;
using testing::ElementsAre;
using testing::IsEmpty;

class TakeOverLinkTest : public testing::Test {
protected:
    struct Side {
        std::vector<std::string> heard; // the database, or the kind of message
        bool ended = false;
        std::unique_ptr<TakeOverLink> link;
    };

    void SetUp() override {
        signal(SIGPIPE, SIG_IGN);
        uv_loop_init(&loop);
        ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
        open(old_process, ends[0]);
        open(new_process, ends[1]);
    }
    void TearDown() override {
        old_process.link.reset();
        new_process.link.reset();
        uv_run(&loop, UV_RUN_DEFAULT);
        uv_loop_close(&loop);
    }
    static std::string name_of(const TakeOverMessage& message) {
        return std::visit(Overloaded{[](const OfDatabase& of_database) { return of_database.database; },
                                     [](const Rotation&) { return std::string("rotation"); },
                                     [](const Go&) { return std::string("go"); },
                                     [](const Prepared&) { return std::string("prepared"); },
                                     [](const Taken&) { return std::string("taken"); },
                                     [](const auto&) { return std::string("another"); }},
                          message);
    }
    void open(Side& side, int socket) {
        side.link = std::make_unique<TakeOverLink>(
            &loop, socket,
            [&side](const TakeOverMessage& message) { side.heard.push_back(name_of(message)); },
            [&side] { side.ended = true; });
    }
    void turn() {
        for (int i = 0; i < 20; ++i)
            uv_run(&loop, UV_RUN_NOWAIT);
    }

    uv_loop_t loop;
    int ends[2];
    Side old_process, new_process;
};

} // namespace

TEST_F(TakeOverLinkTest, MessagesComeInTheirOrder) {
    const std::string large(1 << 20, 'x');
    new_process.link->send(Rotation{.set_cookie = large});
    new_process.link->send(Prepared{});
    EXPECT_GT(new_process.link->waiting(), 0u);
    while (old_process.heard.size() < 2)
        uv_run(&loop, UV_RUN_ONCE);
    EXPECT_EQ(new_process.link->waiting(), 0u);
    EXPECT_TRUE(new_process.link->send_decision(Taken{}));
    turn();
    EXPECT_THAT(old_process.heard, ElementsAre("rotation", "prepared", "taken"));
    EXPECT_FALSE(old_process.ended);
}

TEST_F(TakeOverLinkTest, WhatWaitsComesInItsOrder) {
    // The first one is on its way; of the others some go together, and one does not fit with them.
    const std::string large(1 << 20, 'x');
    auto batch = std::make_shared<Batch>();
    batch->push_back({.id = 1,
                      .position = 1,
                      .fingerprint = 1,
                      .dispatched = Monotonic(),
                      .ahead = false,
                      .channel = {},
                      .element = large});
    old_process.link->send(OfDatabase{"1", take_over::Kept{batch}});
    old_process.link->send(OfDatabase{"2", event::Begin{}});
    old_process.link->send(OfDatabase{"3", event::Publish{.batch = batch}});
    old_process.link->send(OfDatabase{"4", event::Publish{}});
    old_process.link->send(Go{});
    EXPECT_GT(old_process.link->waiting(), large.size()) << "batches count with their bytes";
    while (new_process.heard.size() < 5)
        uv_run(&loop, UV_RUN_ONCE);
    EXPECT_EQ(old_process.link->waiting(), 0u);
    EXPECT_THAT(new_process.heard, ElementsAre("1", "2", "3", "4", "go"));
}

TEST_F(TakeOverLinkTest, ADecisionThatWasMadeIsHeardByWhoHasNoPatience) {
    ASSERT_TRUE(new_process.link->send_decision(Taken{}));
    old_process.link->hear_no_more();
    turn();
    EXPECT_THAT(old_process.heard, ElementsAre("taken"));
    EXPECT_TRUE(old_process.ended) << "after it";
}

TEST_F(TakeOverLinkTest, ADecisionThatComesTooLateIsNone) {
    old_process.link->hear_no_more();
    EXPECT_FALSE(new_process.link->send_decision(Taken{}));
    turn();
    EXPECT_THAT(old_process.heard, IsEmpty());
    EXPECT_TRUE(old_process.ended);
}

TEST_F(TakeOverLinkTest, ADecisionIsNotMadeBehindWhatWaits) {
    new_process.link->send(Rotation{.set_cookie = std::string(4 << 20, 'x')});
    EXPECT_FALSE(new_process.link->send_decision(Taken{}));
}

TEST_F(TakeOverLinkTest, WhatCannotBeUnderstoodEndsIt) {
    const std::string length(8, '\xff');
    ASSERT_EQ(write(ends[1], length.data(), length.size()), 8);
    turn();
    EXPECT_TRUE(old_process.ended);
    old_process.link->send(Go{});
    EXPECT_EQ(old_process.link->waiting(), 0u) << "nobody is sent anything any more";
}

} // namespace odoo_bus
