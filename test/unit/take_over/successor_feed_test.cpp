// What a process tells the one that follows it: all of a history, or where positions go on.
#include "take_over/successor_feed.h"

#include <csignal>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

namespace odoo_bus {
namespace {

using testing::ElementsAre;

BatchPtr batch_of(std::vector<Position> positions, size_t bytes = 0) {
    auto batch = std::make_shared<Batch>();
    for (const Position position : positions)
        batch->push_back({.id = static_cast<Id>(position),
                          .position = position,
                          .fingerprint = 1,
                          .dispatched = Monotonic(),
                          .ahead = false,
                          .channel = {},
                          .element = std::string(bytes, 'x')});
    return batch;
}

class SuccessorFeedTest : public testing::Test {
protected:
    void SetUp() override {
        signal(SIGPIPE, SIG_IGN);
        uv_loop_init(&loop);
        int ends[2];
        ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
        reader = std::make_unique<TakeOverLink>(
            &loop, ends[0], [](const TakeOverMessage&) {}, [] {});
        follower = std::make_unique<TakeOverLink>(
            &loop, ends[1], [this](const TakeOverMessage& message) { heard.push_back(text_of(message)); },
            [] {});
    }
    void TearDown() override {
        reader.reset();
        follower.reset();
        uv_run(&loop, UV_RUN_DEFAULT);
        uv_loop_close(&loop);
    }
    static std::string text_of(const TakeOverMessage& message) {
        const auto& of_database = std::get<take_over::OfDatabase>(message);
        std::string text = of_database.database + ": ";
        if (const auto* const kept = std::get_if<take_over::Kept>(&of_database.what))
            return text + "kept " + std::to_string(kept->batch->back().position);
        if (std::holds_alternative<take_over::Begun>(of_database.what))
            return text + "begun";
        const auto& event = std::get<DatabaseEvent>(of_database.what);
        if (const auto* const begin = std::get_if<event::Begin>(&event))
            return text + "begin after " + std::to_string(begin->head) + " with " +
                   std::to_string(begin->kept.size());
        return text + "event " + std::to_string(event.index());
    }
    std::vector<std::string> hear(size_t count) {
        while (heard.size() < count)
            uv_run(&loop, UV_RUN_ONCE);
        return heard;
    }

    uv_loop_t loop;
    std::unique_ptr<TakeOverLink> reader, follower;
    std::vector<std::string> heard;
};

} // namespace

TEST_F(SuccessorFeedTest, AHistoryGoesBatchByBatchToTheProcessThatReadsNext) {
    SuccessorFeed feed(*reader, true);
    feed.tell("db", event::Begin{.kept = {batch_of({3, 4}), batch_of({5})}, .head = 2});
    feed.tell("db", event::Peers{true});
    EXPECT_THAT(hear(5), ElementsAre("db: begin after 2 with 0", "db: kept 4", "db: kept 5", "db: begun",
                                     "db: event 5"));
}

TEST_F(SuccessorFeedTest, AProcessThatIsDrainedHearsWherePositionsGoOn) {
    SuccessorFeed feed(*reader, false);
    feed.tell("db", event::Begin{.kept = {batch_of({3, 4}), batch_of({5})}, .head = 2});
    feed.tell("other", event::Begin{.head = 7});
    EXPECT_THAT(hear(2), ElementsAre("db: begin after 5 with 0", "other: begin after 7 with 0"));
}

TEST_F(SuccessorFeedTest, AProcessThatDoesNotReadOverfillsIt) {
    SuccessorFeed feed(*reader, false);
    for (Position position = 1; position <= 70; ++position) {
        EXPECT_EQ(feed.is_overfull(), position > 65) << position;
        feed.tell("db", event::Publish{batch_of({position}, 1 << 20), 1});
    }
}

} // namespace odoo_bus
