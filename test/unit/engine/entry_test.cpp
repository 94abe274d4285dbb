// Entries as bytes, their ids as text, and changes of a ledger.
#include "engine/entry.h"

#include <gtest/gtest.h>

#include "chain.h"

namespace odoo_bus {
namespace {

const Monotonic NOW{std::chrono::seconds(77)};

std::string seal_with(char key, std::string_view bytes) {
    uint64_t sum = static_cast<unsigned char>(key);
    for (const char byte : bytes)
        sum = sum * 31 + static_cast<unsigned char>(byte);
    return std::to_string(sum);
}
const Seal SEAL = [](std::string_view bytes) { return seal_with('a', bytes); };
const Seal ANOTHER_SEAL = [](std::string_view bytes) { return seal_with('b', bytes); };

std::string encoded(const Entry& entry, const Seal& seal = {}) {
    const auto bytes = encode_entry(entry, seal);
    EXPECT_TRUE(bytes);
    return bytes.value_or("");
}

TEST(EngineEntry, AnIdIsReadAsItIsWritten) {
    EXPECT_EQ(to_text({1764510000000, 42}), "1764510000000-42");
    EXPECT_EQ(parse_entry_id("1764510000000-42"), (EntryId{1764510000000, 42}));
    EXPECT_EQ(parse_entry_id("18446744073709551615-18446744073709551615"), (EntryId{UINT64_MAX, UINT64_MAX}));
    for (const char* text :
         {"", "1", "1-", "-1", "1-1-1", "01-1", "1-01", "+1-1", "1-1 ", "18446744073709551616-1"})
        EXPECT_FALSE(parse_entry_id(text)) << text;
}

TEST(EngineEntry, AnEpochIsAboveTheOnesBeforeAlsoWhenTheClockIsSetBack) {
    for (const auto& [top, unix_ms] :
         {std::pair<uint64_t, uint64_t>{5, 100'000}, {1ull << 40, 100'000}, {0, 0}}) {
        for (const uint64_t gateway : {uint64_t{0}, uint64_t{77}, UINT64_MAX}) {
            const uint64_t epoch = next_epoch(top, unix_ms, gateway);
            EXPECT_GT(epoch, top);
            EXPECT_GE(epoch, unix_ms * EPOCH_STEP);
            EXPECT_LT(epoch, std::max<uint64_t>(top + 1, unix_ms * EPOCH_STEP) + EPOCH_STEP);
            EXPECT_EQ(epoch % EPOCH_STEP, gateway % EPOCH_STEP) << "no other gateway has it";
        }
    }
}

TEST(EngineEntry, ALaterEpochIsAboveOneThatRedisHasLost) {
    EXPECT_LT(next_epoch(5, 100'000, UINT64_MAX), next_epoch(5, 100'001, 0));
}

TEST(EngineEntry, EachEventIsReadAsItWasWritten) {
    Chain chain({5, 9});
    const auto published = chain.publish({3, 4});
    for (const auto& entry :
         {published, chain.whole(7, {2, 5}), chain.begin(), chain.heartbeat(), chain.barrier(6)}) {
        const std::string bytes = encoded(*entry);
        const auto decoded = decode_entry(entry->id, bytes, {}, NOW);
        ASSERT_TRUE(decoded);
        EXPECT_EQ(decoded->previous, entry->previous);
        EXPECT_EQ(decoded->database, entry->database);
        EXPECT_EQ(decoded->first, entry->first);
        EXPECT_EQ(decoded->event.index(), entry->event.index());
        EXPECT_EQ(ids_of(decoded->batch()), ids_of(entry->batch()));
        EXPECT_EQ(encoded(*decoded), bytes) << "whoever appends it again";
    }
    const auto decoded = decode_entry(published->id, encoded(*published), {}, NOW);
    EXPECT_EQ(decoded->batch()->front().dispatched, NOW) << "another machine's clock means nothing here";
}

TEST(EngineEntry, WhatIsCutOrLongerOrAnotherIsRefused) {
    const EntryPtr entry = Chain({5, 9}).publish({3});
    const std::string bytes = encoded(*entry);
    for (size_t size = 0; size < bytes.size(); ++size)
        EXPECT_FALSE(decode_entry(entry->id, bytes.substr(0, size), {}, NOW)) << size;
    EXPECT_FALSE(decode_entry(entry->id, bytes + '\0', {}, NOW));
    EXPECT_FALSE(decode_entry({6, 10}, bytes, {}, NOW)) << "it stands under another id";
    std::string another_version = bytes;
    ++another_version[0];
    EXPECT_FALSE(decode_entry(entry->id, another_version, {}, NOW));
}

TEST(EngineEntry, WhatDoesNotFitTogetherIsNeitherWrittenNorRead) {
    const Entry sound = *Chain({5, 9}).publish({3});
    const auto refused = [&](auto change) {
        Entry entry = sound;
        change(entry);
        return !encode_entry(entry, {});
    };
    EXPECT_FALSE(refused([](Entry&) {}));
    EXPECT_TRUE(refused([](Entry& entry) { entry.previous = {5, 8}; })) << "seq goes on";
    EXPECT_TRUE(refused([](Entry& entry) { entry.previous = {6, 9}; })) << "ids ascend";
    EXPECT_TRUE(refused([](Entry& entry) { entry.database.clear(); }));
    EXPECT_TRUE(refused([](Entry& entry) { entry.database = std::string(64, 'd'); }));
    EXPECT_TRUE(refused([](Entry& entry) { entry.first = 2; }));
    EXPECT_TRUE(refused([](Entry& entry) { entry.event = entry::Heartbeat{}; })) << "it is of no database";
    EXPECT_TRUE(refused([](Entry& entry) {
        entry.first = 0;
        entry.event = DatabaseEvent(event::Begin{.kept = {chain_batch({1})}});
    }));
    EXPECT_TRUE(refused([](Entry& entry) {
        entry.first = 0;
        entry.event = DatabaseEvent(event::Publish{});
        entry.database = std::string(MAX_ENTRY_BYTES, 'd');
    }));
}

TEST(EngineEntry, WithoutTheKeyNobodyWritesAnEntry) {
    const EntryPtr entry = Chain({5, 9}).publish({3});
    const std::string sealed = encoded(*entry, SEAL);
    EXPECT_TRUE(decode_entry(entry->id, sealed, SEAL, NOW));
    EXPECT_FALSE(decode_entry(entry->id, sealed, ANOTHER_SEAL, NOW));
    EXPECT_FALSE(decode_entry(entry->id, encoded(*entry), SEAL, NOW));
    EXPECT_FALSE(decode_entry(entry->id, sealed, {}, NOW)) << "one gateway has a key, another one has none";
    for (size_t place = 0; place < sealed.size(); ++place) {
        std::string changed = sealed;
        changed[place] = static_cast<char>(changed[place] ^ 1);
        EXPECT_FALSE(decode_entry(entry->id, changed, SEAL, NOW)) << place;
    }
}

TEST(EngineEntry, AChangeMakesOneLedgerOfAnother) {
    Checkpoint before{.next = 5, .max_seen = 9}, now{.next = 8, .max_seen = 12};
    before.gaps.add({3, 6});
    before.ahead.add(20);
    now.gaps.add({5, 7});
    now.ahead.add(30);
    for (const LedgerChange& change : {ledger_change(before, now), whole_ledger(now)}) {
        std::string bytes;
        write_bytes(bytes, change);
        const auto read = read_bytes<LedgerChange>(bytes);
        ASSERT_TRUE(read);
        EXPECT_EQ(*read, change);
        Checkpoint ledger = before;
        apply(*read, ledger);
        EXPECT_EQ(ledger, now);
    }
    EXPECT_FALSE(is_empty(ledger_change(before, now), before));
    EXPECT_TRUE(is_empty(ledger_change(now, now), now));
    EXPECT_TRUE(has_decided(now, 4));
    EXPECT_FALSE(has_decided(now, 5));
    EXPECT_FALSE(has_decided(now, 13));
    EXPECT_TRUE(has_decided(now, 30));
}

} // namespace
} // namespace odoo_bus
