// Events of a database as bytes: each kind comes back as it was.
#include "protocol/database_event.h"

#include <gtest/gtest.h>

#include "protocol/database_event_bytes.h"

namespace odoo_bus {
namespace {

BatchPtr batch_of(std::vector<Position> positions) {
    auto batch = std::make_shared<Batch>();
    for (const Position position : positions)
        batch->push_back({.id = static_cast<Id>(position) + 100,
                          .position = position,
                          .fingerprint = position * 7,
                          .dispatched = Monotonic(Duration(position)),
                          .ahead = position % 2 == 0,
                          .channel = R"(["db","a"])",
                          .element = std::string("{\0}", 3)});
    return batch;
}

std::string bytes_of(const DatabaseEvent& event) {
    std::string bytes;
    write_bytes(bytes, event);
    return bytes;
}

template <class Event>
Event sent(const Event& event) {
    const auto read = read_bytes<DatabaseEvent>(bytes_of(event));
    EXPECT_TRUE(read && std::holds_alternative<Event>(*read));
    return read ? std::get<Event>(*read) : Event{};
}

void expect_same(const Batch& read, const Batch& written) {
    ASSERT_EQ(read.size(), written.size());
    for (size_t i = 0; i < read.size(); ++i) {
        EXPECT_EQ(read[i].id, written[i].id);
        EXPECT_EQ(read[i].position, written[i].position);
        EXPECT_EQ(read[i].fingerprint, written[i].fingerprint);
        EXPECT_EQ(read[i].dispatched, written[i].dispatched);
        EXPECT_EQ(read[i].ahead, written[i].ahead);
        EXPECT_EQ(read[i].channel, written[i].channel);
        EXPECT_EQ(read[i].element, written[i].element);
    }
}

} // namespace

TEST(DatabaseEvent, ABeginWithItsHistory) {
    const event::Begin begin{.kept = {batch_of({3, 4}), batch_of({5})},
                             .head = 2,
                             .newest = 105,
                             .adopted_until = 4,
                             .missed = true};
    const event::Begin read = sent(begin);
    ASSERT_EQ(read.kept.size(), 2u);
    expect_same(*read.kept[0], *begin.kept[0]);
    expect_same(*read.kept[1], *begin.kept[1]);
    EXPECT_EQ(read.head, 2u);
    EXPECT_EQ(read.newest, 105);
    EXPECT_EQ(read.adopted_until, 4u);
    EXPECT_TRUE(read.missed);
}

TEST(DatabaseEvent, APublishWithAndWithoutABatch) {
    const BatchPtr batch = batch_of({7, 8});
    const event::Publish read = sent(event::Publish{batch, 3});
    ASSERT_TRUE(read.batch);
    expect_same(*read.batch, *batch);
    EXPECT_EQ(read.keep_from, 3u);
    EXPECT_FALSE(sent(event::Publish{.keep_from = 9}).batch);
    EXPECT_EQ(sent(event::Publish{.keep_from = 9}).keep_from, 9u);
}

TEST(DatabaseEvent, TheOthers) {
    const event::Lost lost = sent(event::Lost{{4, 2}, 10});
    EXPECT_EQ(lost.positions, (std::vector<Position>{4, 2}));
    EXPECT_EQ(lost.newest, 10);
    EXPECT_EQ(sent(event::UsersChanged{{-3, 5}}).partners, (std::set<int64_t>{-3, 5}));
    EXPECT_TRUE(sent(event::Peers{true}).exist);
    EXPECT_FALSE(sent(event::Peers{false}).exist);
    sent(event::Expect{});
    sent(event::LetGo{});
    sent(event::Forget{});
}

TEST(DatabaseEvent, PositionsHaveNoHole) {
    EXPECT_TRUE(read_bytes<DatabaseEvent>(bytes_of(event::Publish{batch_of({1, 2, 3}), 1})));
    EXPECT_FALSE(read_bytes<DatabaseEvent>(bytes_of(event::Publish{batch_of({1, 3}), 1})));
    EXPECT_FALSE(read_bytes<DatabaseEvent>(bytes_of(event::Begin{.kept = {batch_of({2, 1})}})));
}

TEST(DatabaseEvent, AHistoryHasNoEmptyBatch) {
    EXPECT_FALSE(read_bytes<DatabaseEvent>(bytes_of(event::Begin{.kept = {batch_of({1}), nullptr}})));
}

} // namespace odoo_bus
