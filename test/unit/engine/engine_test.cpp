// One gateway's engine, where the simulation says too little: what it asks for, and when.
#include "engine/engine.h"

#include "engine_fixture.h"

namespace odoo_bus {
namespace {

// --- the leader ---

TEST_F(EngineTest, ClientsAreToldWhatIsInTheStream) {
    lead();
    EXPECT_TRUE(publish(2));
    EXPECT_FALSE(take<command::Give>());
    const auto sent = take<command::Append>();
    ASSERT_TRUE(sent);
    EXPECT_TRUE(publish(3));
    EXPECT_FALSE(take<command::Append>()) << "one at a time";
    append(*sent);
    const auto given = take<command::Give>();
    ASSERT_TRUE(given);
    EXPECT_EQ(ids_of(given->batch), std::vector<Id>({2}));
    EXPECT_TRUE(take<command::Append>());
}

TEST_F(EngineTest, AnAnswerThatIsLostIsFoundInTheHead) {
    lead();
    publish(2);
    const auto sent = take<command::Append>();
    engine.disconnected();
    connect(); // it was not appended
    const auto again = take<command::Append>();
    ASSERT_TRUE(again);
    EXPECT_EQ(again->entry, sent->entry) << "an id is its content";
    engine.disconnected();
    head = sent->entry->id; // it was
    connect();
    EXPECT_FALSE(take<command::Append>());
    EXPECT_EQ(engine.edge().applied(), sent->entry->id);
}

TEST_F(EngineTest, WhatRedisHasLostIsAppendedAgainByTheLeaderAtOnce) {
    lead();
    for (Id id = 2; id < 5; ++id) {
        publish(id);
        append(*take<command::Append>());
    }
    const EntryId newest = head;
    head_is({newest.epoch, 5}); // after the first of them
    for (int i = 0; i < 2; ++i) {
        const auto again = take<command::Append>();
        ASSERT_TRUE(again);
        EXPECT_EQ(again->entry->previous, head);
        append(*again);
    }
    EXPECT_EQ(head, newest);
    EXPECT_FALSE(take<command::Append>());
}

TEST_F(EngineTest, WhatADeposedLeaderHasRestoredIsReplaced) {
    lead();
    publish(2);
    append(*take<command::Append>());
    head_is({5, 77});
    const auto restore = take<command::Restore>();
    ASSERT_TRUE(restore);
    EXPECT_EQ(restore->seen, (EntryId{5, 77}));
    EXPECT_EQ(restore->entries.front()->id, (EntryId{5, 1}));
    EXPECT_EQ(restore->entries.back()->id, engine.edge().applied());
}

TEST_F(EngineTest, ALeaderThatSeesAGreaterEpochLeadsNoLonger) {
    lead();
    publish(2);
    head_is({head.epoch + 1, 5});
    EXPECT_TRUE(take<command::StopLeading>());
    EXPECT_TRUE(take<command::Unlock>());
    EXPECT_FALSE(publish(3));
    EXPECT_TRUE(engine.leadership().unsent().empty()) << "nobody was told";
}

TEST_F(EngineTest, WithoutRedisTheLeaderGivesOutWhatItWillAppend) {
    lead();
    publish(2);
    const auto sent = take<command::Append>();
    engine.disconnected();
    for (int i = 0; i < 20; ++i)
        tick();
    EXPECT_FALSE(take<command::Give>()) << "late, as long as others trust that it follows";
    for (int i = 0; i < 20; ++i)
        tick();
    EXPECT_TRUE(engine.is_cut_off());
    EXPECT_EQ(ids_of(take<command::Give>()->batch), std::vector<Id>({2}));
    publish(3);
    EXPECT_EQ(ids_of(take<command::Give>()->batch), std::vector<Id>({3}));
    EXPECT_EQ(engine.edge().state(), Edge::State::COMMON) << "it is the common order";
    connect();
    EXPECT_EQ(take<command::Append>()->entry, sent->entry);
}

TEST_F(EngineTest, WhatTheLeaderCannotAppendIsBounded) {
    lead();
    engine.disconnected();
    for (int i = 0; i < 40; ++i)
        tick();
    Id id = 2;
    while (publish(id) && id < 1000) {
        ++id;
        tick(1ms);
    }
    tick();
    EXPECT_LT(id, 200);
    EXPECT_TRUE(take<command::StopLeading>());
    EXPECT_TRUE(take<command::ReadTables>()) << "it goes on as an edge without Redis";
    EXPECT_EQ(engine.edge().state(), Edge::State::LOCAL);
}

TEST_F(EngineTest, ALedgerIsToldWholeThenAsChangesAndWholeToWhoMissedEntries) {
    lead();
    const auto told = [&]() -> std::optional<bool> {
        const auto sent = take<command::Append>();
        if (!sent)
            return std::nullopt;
        append(*sent);
        return std::get<LedgerChange>(sent->entry->event).is_whole;
    };
    const auto announce = [&](Id max_seen) {
        now += 1s;
        engine.announce(CHAIN_DATABASE, Checkpoint{.max_seen = max_seen}, now);
        drain();
    };
    announce(1);
    EXPECT_EQ(told(), true);
    announce(1);
    EXPECT_EQ(told(), std::nullopt) << "nothing new";
    announce(2);
    EXPECT_EQ(told(), false);
    hear_of({.applied = {5, 1}, .wants_ledger = true});
    engine.records_are(records, now);
    announce(2);
    EXPECT_EQ(told(), true);
    records.clear();
    engine.records_are(records, now);
    now += 300s;
    announce(2);
    EXPECT_EQ(told(), true) << "half a history has passed";
}

TEST_F(EngineTest, ALeaderThatHasNothingToSayIsHeardOnceASecond) {
    lead();
    int heartbeats = 0;
    for (int i = 0; i < 50; ++i) {
        run(100ms);
        if (const auto sent = take<command::Append>()) {
            heartbeats += std::holds_alternative<entry::Heartbeat>(sent->entry->event);
            append(*sent);
        }
    }
    EXPECT_GE(heartbeats, 4);
    EXPECT_LE(heartbeats, 5);
}

// --- edges ---

TEST_F(EngineTest, WhatRedisHasLostIsAppendedAgainByEdgesAMomentLater) {
    connect();
    follow_some();
    run(1s);
    head_is(NO_ENTRY);
    run(200ms);
    EXPECT_FALSE(take<command::Restore>());
    EXPECT_FALSE(take<command::Append>());
    tick(200ms);
    const auto restore = take<command::Restore>();
    ASSERT_TRUE(restore);
    EXPECT_EQ(restore->entries.front()->id, (EntryId{5, 1}));
    head_is({5, 1}); // another edge was quicker, and goes on
    const auto next = take<command::Append>();
    ASSERT_TRUE(next);
    EXPECT_EQ(next->entry->id, (EntryId{5, 2}));
}

TEST_F(EngineTest, AnEdgeReplacesNothing) {
    connect();
    follow_some();
    run(1s);
    head_is({4, 77}); // of another chain
    run(2s);
    EXPECT_FALSE(take<command::Restore>());
    EXPECT_FALSE(take<command::Append>());
}

TEST_F(EngineTest, AReadThatTimesOutIsComparedWithTheHead) {
    connect();
    follow_some();
    commands.clear();
    engine.reading_timed_out();
    EXPECT_TRUE(take<command::ReadHead>());
}

TEST_F(EngineTest, WithoutRedisAnEdgeReadsTheTablesAfterItsLease) {
    connect();
    follow_some();
    run(1s);
    EXPECT_TRUE(engine.is_ready());
    engine.disconnected();
    for (int i = 0; i < 24; ++i)
        tick();
    EXPECT_EQ(engine.edge().state(), Edge::State::COMMON);
    EXPECT_FALSE(engine.give(CHAIN_DATABASE, *chain_batch({2})));
    for (int i = 0; i < 8; ++i)
        tick();
    EXPECT_EQ(engine.edge().state(), Edge::State::LOCAL);
    EXPECT_TRUE(take<command::ReadTables>());
    EXPECT_TRUE(engine.give(CHAIN_DATABASE, *chain_batch({2})));
    connect();
    EXPECT_TRUE(take<command::StopReadingTables>());
    EXPECT_EQ(engine.edge().state(), Edge::State::MERGING);
    EXPECT_FALSE(engine.give(CHAIN_DATABASE, *chain_batch({3}))) << "the common order goes on";
}

TEST_F(EngineTest, ATableIsNotReadInAHoleWhileOthersTrustThatItIsNot) {
    connect();
    follow_some();
    run(1s);
    chain.publish({2});
    const EntryPtr next = chain.publish({3});
    follow(next);
    EXPECT_EQ(engine.edge().state(), Edge::State::LOCAL);
    run(2400ms);
    EXPECT_FALSE(take<command::ReadTables>()) << "others may believe a record from before";
    run(800ms);
    EXPECT_TRUE(take<command::ReadTables>());
    run(1s);
    EXPECT_EQ(engine.edge().state(), Edge::State::LOCAL) << "it was not read to its end";
    engine.tables_read();
    run(600ms);
    EXPECT_EQ(engine.edge().state(), Edge::State::MERGING);
    follow(next);
    EXPECT_EQ(engine.edge().applied(), next->id);
}

TEST_F(EngineTest, ARecordSaysWhatOthersHaveToKnow) {
    connect();
    follow_some();
    run(600ms);
    tick(600ms);
    const auto exchange = take<command::ExchangeRecords>();
    ASSERT_TRUE(exchange && exchange->own);
    EXPECT_EQ(exchange->own->applied, chain.newest());
    EXPECT_EQ(exchange->own->oldest, (EntryId{5, 0}));
    EXPECT_EQ(exchange->own->sent, now);
    EXPECT_TRUE(exchange->own->can_lead);
    EXPECT_FALSE(exchange->own->wants_ledger);
    EXPECT_FALSE(exchange->own->is_to_lead);
    tick(600ms);
    EXPECT_FALSE(take<command::ExchangeRecords>()) << "one is on its way";
}

} // namespace
} // namespace odoo_bus
