// What two processes tell each other: whole, in pieces, and damaged.
#include "take_over/message.h"

#include <cstring>

#include <gtest/gtest.h>

#include "ledger/checkpoint.h"

using namespace odoo_bus;
using namespace std::chrono_literals;

namespace {

TakeOverMessage publish() {
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
    return {.type = TakeOverMessage::Type::publish,
            .database = "db",
            .batch = std::move(batch),
            .position = 2,
            .adopted_until = 1,
            .newest = 7,
            .settled = 5,
            .flag = true,
            .numbers = {-1, 1},
            .texts = {"", "text"}};
}

bool is_same(const TakeOverMessage& a, const TakeOverMessage& b) {
    return encode(a) == encode(b);
}

} // namespace

TEST(TakeOverMessage, ComesBackAsItWas) {
    const std::string bytes = encode(publish()) + encode({.type = TakeOverMessage::Type::go});
    std::string_view left(bytes);
    bool damaged = false;
    const auto first = decode(left, damaged);
    ASSERT_TRUE(first);
    EXPECT_TRUE(is_same(*first, publish()));
    ASSERT_EQ(first->batch->size(), 2u);
    EXPECT_EQ(first->batch->front().element.size(), 3u);
    const auto second = decode(left, damaged);
    ASSERT_TRUE(second);
    EXPECT_EQ(second->type, TakeOverMessage::Type::go);
    EXPECT_EQ(second->batch, nullptr);
    EXPECT_TRUE(left.empty());
    EXPECT_FALSE(decode(left, damaged));
    EXPECT_FALSE(damaged);
}

TEST(TakeOverMessage, WaitsForAWholeOne) {
    const std::string bytes = encode(publish());
    for (size_t length = 0; length < bytes.size(); ++length) {
        std::string_view part = std::string_view(bytes).substr(0, length);
        bool damaged = false;
        EXPECT_FALSE(decode(part, damaged));
        EXPECT_FALSE(damaged) << length;
        EXPECT_EQ(part.size(), length) << "nothing is taken off";
    }
}

TEST(TakeOverMessage, ADamagedOneIsFoundOrHarmless) {
    const std::string bytes = encode(publish());
    for (size_t at = 0; at < bytes.size(); ++at)
        for (const int change : {1, 0x80, 0xff}) {
            std::string changed = bytes;
            changed[at] = static_cast<char>(changed[at] ^ change);
            std::string_view left(changed);
            bool damaged = false;
            const auto message = decode(left, damaged);
            EXPECT_FALSE(message && damaged);
            if (message && message->batch) {
                EXPECT_EQ(message->batch->back().position,
                          message->batch->front().position + message->batch->size() - 1);
            }
        }
}

TEST(TakeOverMessage, PositionsHaveNoHole) {
    TakeOverMessage message = publish();
    auto batch = std::make_shared<Batch>(*message.batch);
    batch->back().position = 5;
    message.batch = batch;
    const std::string bytes = encode(message);
    std::string_view left(bytes);
    bool damaged = false;
    EXPECT_FALSE(decode(left, damaged));
    EXPECT_TRUE(damaged);
}

TEST(TakeOverMessage, LengthsThatDoNotFit) {
    const auto is_refused = [](std::string bytes) {
        const uint64_t length = bytes.size() - sizeof length;
        memcpy(bytes.data(), &length, sizeof length);
        std::string_view left(bytes);
        bool damaged = false;
        return !decode(left, damaged) && damaged;
    };
    const std::string whole = encode(publish());
    EXPECT_TRUE(is_refused(whole + 'x')) << "more than it has";
    EXPECT_TRUE(is_refused(whole.substr(0, whole.size() - 1))) << "a text that is cut";
    EXPECT_TRUE(is_refused(whole.substr(0, sizeof(uint64_t)))) << "nothing at all";
    std::string many = whole; // notifications, as many as there can be none of
    memset(many.data() + sizeof(uint64_t) + 1 + sizeof(uint64_t) + 2, 0xff, sizeof(uint64_t));
    EXPECT_TRUE(is_refused(many));
    std::string unknown = whole;
    unknown[sizeof(uint64_t)] = '\x7f';
    EXPECT_TRUE(is_refused(unknown)) << "a type that is none";
    std::string_view huge("\xff\xff\xff\xff\xff\xff\xff\x7f", 8);
    bool damaged = false;
    EXPECT_FALSE(decode(huge, damaged));
    EXPECT_TRUE(damaged) << "nobody waits for so much";
}

TEST(TakeOverMessage, ALedger) {
    Checkpoint ledger{.identity = {1, 2, 3, 4, 5}, .next = 8, .max_seen = 9, .settled = 3, .read_us = 7};
    ledger.gaps.add({4, 6});
    ledger.ahead.add(100);
    EXPECT_EQ(decode_ledger(encode_ledger(ledger)), ledger);
    EXPECT_FALSE(decode_ledger("nonsense"));
}
