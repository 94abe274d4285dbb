// The socket between two processes: what is sent arrives, and a decision is made once.
#include "take_over/link.h"

#include <csignal>
#include <memory>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

namespace odoo_bus {
namespace {

using Type = TakeOverMessage::Type;
using testing::ElementsAre;
using testing::IsEmpty;

class TakeOverLinkTest : public testing::Test {
protected:
    struct Side {
        std::vector<Type> heard;
        std::vector<std::string> databases; // that these were of
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
    void open(Side& side, int socket) {
        side.link = std::make_unique<TakeOverLink>(
            &loop, socket,
            [&side](const TakeOverMessage& message) {
                side.heard.push_back(message.type);
                side.databases.push_back(message.database);
            },
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
    new_process.link->send({.type = Type::prepared, .texts = {large}});
    new_process.link->send({.type = Type::prepared});
    EXPECT_GT(new_process.link->waiting(), 0u);
    while (old_process.heard.size() < 2)
        uv_run(&loop, UV_RUN_ONCE);
    EXPECT_EQ(new_process.link->waiting(), 0u);
    EXPECT_TRUE(new_process.link->send_decision({.type = Type::taken}));
    turn();
    EXPECT_THAT(old_process.heard, ElementsAre(Type::prepared, Type::prepared, Type::taken));
    EXPECT_FALSE(old_process.ended);
}

TEST_F(TakeOverLinkTest, WhatWaitsComesInItsOrder) {
    // The first one is on its way; of the others some go together, and one does not fit with them.
    const std::string large(1 << 20, 'x');
    old_process.link->send({.type = Type::begin, .database = "1", .texts = {large}});
    old_process.link->send({.type = Type::kept, .database = "2"});
    old_process.link->send({.type = Type::begun, .database = "3", .texts = {large}});
    old_process.link->send({.type = Type::publish, .database = "4"});
    old_process.link->send({.type = Type::go, .database = "5"});
    EXPECT_GT(old_process.link->waiting(), 0u);
    while (new_process.heard.size() < 5)
        uv_run(&loop, UV_RUN_ONCE);
    EXPECT_EQ(old_process.link->waiting(), 0u);
    EXPECT_THAT(new_process.heard,
                ElementsAre(Type::begin, Type::kept, Type::begun, Type::publish, Type::go));
    EXPECT_THAT(new_process.databases, ElementsAre("1", "2", "3", "4", "5"));
}

TEST_F(TakeOverLinkTest, ADecisionThatWasMadeIsHeardByWhoHasNoPatience) {
    ASSERT_TRUE(new_process.link->send_decision({.type = Type::taken}));
    old_process.link->hear_no_more();
    turn();
    EXPECT_THAT(old_process.heard, ElementsAre(Type::taken));
    EXPECT_TRUE(old_process.ended) << "after it";
}

TEST_F(TakeOverLinkTest, ADecisionThatComesTooLateIsNone) {
    old_process.link->hear_no_more();
    EXPECT_FALSE(new_process.link->send_decision({.type = Type::taken}));
    turn();
    EXPECT_THAT(old_process.heard, IsEmpty());
    EXPECT_TRUE(old_process.ended);
}

TEST_F(TakeOverLinkTest, ADecisionIsNotMadeBehindWhatWaits) {
    new_process.link->send({.type = Type::prepared, .texts = {std::string(4 << 20, 'x')}});
    EXPECT_FALSE(new_process.link->send_decision({.type = Type::taken}));
}

TEST_F(TakeOverLinkTest, WhatCannotBeUnderstoodEndsIt) {
    const std::string length(8, '\xff');
    ASSERT_EQ(write(ends[1], length.data(), length.size()), 8);
    turn();
    EXPECT_TRUE(old_process.ended);
    old_process.link->send({.type = Type::go});
    EXPECT_EQ(old_process.link->waiting(), 0u) << "nobody is sent anything any more";
}

} // namespace odoo_bus
