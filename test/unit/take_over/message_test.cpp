// What two processes tell each other: whole, in pieces, and damaged.
#include "take_over/message.h"

#include <cstring>
#include <vector>

#include <gtest/gtest.h>

namespace odoo_bus {
namespace {

using namespace std::chrono_literals;

BatchPtr a_batch() {
    auto batch = std::make_shared<Batch>();
    batch->push_back({.id = 7,
                      .position = 3,
                      .fingerprint = 99,
                      .dispatched = Monotonic(1700s),
                      .ahead = true,
                      .channel = R"(["db","a"])",
                      .element = std::string("{\0}", 3)});
    batch->push_back({.id = 6,
                      .position = 4,
                      .fingerprint = 1,
                      .dispatched = Monotonic(2us),
                      .ahead = false,
                      .channel = {},
                      .element = {}});
    return batch;
}

TakeOverMessage a_publish() {
    return take_over::OfDatabase{"db", event::Publish{a_batch(), 2}};
}

Checkpoint a_ledger() {
    Checkpoint ledger{
        .identity = {1, wall_time(2), 3, 4, 5}, .next = 8, .max_seen = 9, .settled = 3, .read = wall_time(7)};
    ledger.gaps.add({4, 6});
    ledger.ahead.add(100);
    return ledger;
}

// One of each kind.
std::vector<TakeOverMessage> all_kinds() {
    std::array<uint8_t, 32> digest;
    digest.fill(0xab);
    return {a_publish(),
            take_over::OfDatabase{"db", take_over::Kept{a_batch()}},
            take_over::OfDatabase{"db", take_over::Begun{.is_read = true, .settled = 5, .lost = {1, 9}}},
            take_over::OfDatabase{"db", take_over::LeftOff{a_ledger(), Duration(4)}},
            take_over::Described{},
            take_over::MovedClientList{{{UINT64_MAX, 3}, {1, -1}}},
            take_over::Rotation{"old", "new", "cookie"},
            take_over::Forgotten{digest},
            take_over::Go{.relays_to_hub = true},
            take_over::Prepared{},
            take_over::Taken{}};
}

template <class What>
What of_database(const TakeOverMessage& message) {
    return std::get<What>(std::get<take_over::OfDatabase>(message).what);
}

std::optional<TakeOverMessage> decode_whole(const std::string& bytes) {
    std::string_view left(bytes);
    bool damaged = false;
    auto message = decode(left, damaged);
    EXPECT_EQ(damaged, !message);
    EXPECT_TRUE(left.empty());
    return message;
}

} // namespace

TEST(TakeOverMessage, OneAfterTheOther) {
    std::string bytes;
    for (const TakeOverMessage& message : all_kinds())
        bytes += encode(message);
    std::string_view left(bytes);
    bool damaged = false;
    for (const TakeOverMessage& message : all_kinds()) {
        const auto read = decode(left, damaged);
        ASSERT_TRUE(read);
        EXPECT_EQ(read->index(), message.index());
        EXPECT_EQ(encode(*read), encode(message));
    }
    EXPECT_TRUE(left.empty());
    EXPECT_FALSE(decode(left, damaged));
    EXPECT_FALSE(damaged);
}

TEST(TakeOverMessage, WhatTheReaderTells) {
    const auto publish = decode_whole(encode(a_publish()));
    ASSERT_TRUE(publish);
    EXPECT_EQ(std::get<take_over::OfDatabase>(*publish).database, "db");
    const auto event = std::get<event::Publish>(of_database<DatabaseEvent>(*publish));
    ASSERT_EQ(event.batch->size(), 2u);
    EXPECT_EQ(event.batch->front().element.size(), 3u);
    EXPECT_EQ(event.keep_from, 2u);

    const auto begun = decode_whole(
        encode(take_over::OfDatabase{"db", take_over::Begun{.is_read = true, .settled = 5, .lost = {1, 9}}}));
    ASSERT_TRUE(begun);
    EXPECT_TRUE(of_database<take_over::Begun>(*begun).is_read);
    EXPECT_EQ(of_database<take_over::Begun>(*begun).settled, 5);
    EXPECT_EQ(of_database<take_over::Begun>(*begun).lost, (std::vector<Position>{1, 9}));

    const auto left_off =
        decode_whole(encode(take_over::OfDatabase{"db", take_over::LeftOff{a_ledger(), Duration(4)}}));
    ASSERT_TRUE(left_off);
    EXPECT_EQ(of_database<take_over::LeftOff>(*left_off).ledger, a_ledger());
    EXPECT_EQ(of_database<take_over::LeftOff>(*left_off).peers_for, Duration(4));
}

TEST(TakeOverMessage, WhatTheOtherThreadsTell) {
    const auto moved = decode_whole(encode(take_over::MovedClientList{{{UINT64_MAX, 3}, {1, -1}}}));
    ASSERT_TRUE(moved);
    EXPECT_EQ(std::get<take_over::MovedClientList>(*moved).clients,
              (std::vector<std::pair<uint64_t, Id>>{{UINT64_MAX, 3}, {1, -1}}));

    const auto rotation = decode_whole(encode(take_over::Rotation{"old", "new", "cookie"}));
    ASSERT_TRUE(rotation);
    EXPECT_EQ(std::get<take_over::Rotation>(*rotation).old_id, "old");
    EXPECT_EQ(std::get<take_over::Rotation>(*rotation).new_id, "new");
    EXPECT_EQ(std::get<take_over::Rotation>(*rotation).set_cookie, "cookie");

    std::array<uint8_t, 32> digest;
    digest.fill(0xab);
    const auto forgotten = decode_whole(encode(take_over::Forgotten{digest}));
    ASSERT_TRUE(forgotten);
    EXPECT_EQ(std::get<take_over::Forgotten>(*forgotten).grant, digest);

    for (const bool relays : {true, false}) {
        const auto go = decode_whole(encode(take_over::Go{relays}));
        ASSERT_TRUE(go);
        EXPECT_EQ(std::get<take_over::Go>(*go).relays_to_hub, relays);
    }
}

TEST(TakeOverMessage, WaitsForAWholeOne) {
    const std::string bytes = encode(a_publish());
    for (size_t length = 0; length < bytes.size(); ++length) {
        std::string_view part = std::string_view(bytes).substr(0, length);
        bool damaged = false;
        EXPECT_FALSE(decode(part, damaged));
        EXPECT_FALSE(damaged) << length;
        EXPECT_EQ(part.size(), length) << "nothing is taken off";
    }
}

TEST(TakeOverMessage, ADamagedOneIsFoundOrHarmless) {
    for (const TakeOverMessage& original : all_kinds()) {
        const std::string bytes = encode(original);
        for (size_t at = 0; at < bytes.size(); ++at)
            for (const int change : {1, 0x80, 0xff}) {
                std::string changed = bytes;
                changed[at] = static_cast<char>(changed[at] ^ change);
                std::string_view left(changed);
                bool damaged = false;
                const auto message = decode(left, damaged);
                EXPECT_FALSE(message && damaged);
                if (message) {
                    EXPECT_EQ(encode(*message).size() + left.size(), changed.size());
                }
            }
    }
}

TEST(TakeOverMessage, PositionsHaveNoHole) {
    auto batch = std::make_shared<Batch>(*a_batch());
    batch->back().position = 5;
    EXPECT_FALSE(decode_whole(encode(take_over::OfDatabase{"db", take_over::Kept{batch}})));
    EXPECT_FALSE(decode_whole(encode(take_over::OfDatabase{"db", event::Publish{batch, 1}})));
}

TEST(TakeOverMessage, ADamagedLedger) {
    std::string bytes = encode(take_over::OfDatabase{"db", take_over::LeftOff{a_ledger(), Duration(4)}});
    const size_t magic = bytes.find("busledgr");
    ASSERT_NE(magic, std::string::npos);
    bytes[magic] = 'B';
    EXPECT_FALSE(decode_whole(bytes));
}

TEST(TakeOverMessage, LengthsThatDoNotFit) {
    const auto is_refused = [](std::string bytes) {
        const uint64_t length = bytes.size() - sizeof length;
        memcpy(bytes.data(), &length, sizeof length);
        return !decode_whole(bytes);
    };
    const std::string whole = encode(a_publish());
    EXPECT_TRUE(is_refused(whole + 'x')) << "more than it has";
    EXPECT_TRUE(is_refused(whole.substr(0, whole.size() - 1))) << "a number that is cut";
    EXPECT_TRUE(is_refused(whole.substr(0, sizeof(uint64_t)))) << "nothing at all";
    std::string unknown = whole;
    unknown[sizeof(uint64_t)] = '\x7f';
    EXPECT_TRUE(is_refused(unknown)) << "a kind that there is none of";
    std::string_view huge("\xff\xff\xff\xff\xff\xff\xff\x7f", 8);
    bool damaged = false;
    EXPECT_FALSE(decode(huge, damaged));
    EXPECT_TRUE(damaged) << "no message is as long";
}

} // namespace odoo_bus
