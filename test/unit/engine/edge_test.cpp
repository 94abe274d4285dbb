// An edge, one situation at a time.
#include "engine/edge.h"

#include <gtest/gtest.h>

#include "chain.h"

namespace odoo_bus {
namespace {

using Ids = std::vector<Id>;
using State = Edge::State;
using Verdict = Edge::Verdict;

class EngineEdge : public testing::Test {
protected:
    EngineEdge() {
        apply(chain.begin());
        apply(chain.whole(0));
    }
    Edge::Outcome apply(const EntryPtr& entry) { return edge.apply(entry, now); }
    Ids given(const EntryPtr& entry) { return ids_of(apply(entry).given); }
    const Checkpoint& ledger() const { return *edge.databases().at(CHAIN_DATABASE).ledger(); }

    Monotonic now{std::chrono::hours(1)};
    const EntryLog::Bounds bounds{.age = std::chrono::seconds(600), .bytes = 1 << 20};
    Edge edge{bounds};
    Chain chain{EntryId{5, 0}};
};

TEST_F(EngineEdge, WhatEntriesPublishIsGivenOutOnce) {
    const EntryPtr entry = chain.publish({1, 2});
    EXPECT_EQ(given(entry), Ids({1, 2}));
    EXPECT_EQ(apply(entry).verdict, Verdict::KNOWN);
    EXPECT_EQ(edge.state(), State::COMMON);
    EXPECT_EQ(edge.log().published_in(CHAIN_DATABASE, 2), entry->id);
    EXPECT_EQ(edge.log().published_in(CHAIN_DATABASE, 3), std::nullopt);
    EXPECT_EQ(edge.log().published_in("another", 2), std::nullopt);
}

TEST_F(EngineEdge, WhatWasGivenOutAheadIsLeftOutUntilAllOfItWasPublished) {
    apply(chain.publish({1}));
    const EntryId from = edge.applied();
    edge.go_local(now);
    edge.give(CHAIN_DATABASE, *chain_batch({3, 2}));
    EXPECT_TRUE(edge.merge());
    EXPECT_EQ(edge.state(), State::MERGING);
    EXPECT_EQ(given(chain.publish({2, 4})), Ids({4}));
    EXPECT_EQ(edge.state(), State::MERGING);
    const EntryPtr last = chain.publish({3});
    EXPECT_EQ(given(last), Ids());
    EXPECT_EQ(edge.state(), State::COMMON);
    EXPECT_EQ(edge.deviation(), (Deviation{.from = from, .until = last->id, .is_open = false}));
    EXPECT_FALSE(edge.deviation().has(from));
    EXPECT_TRUE(edge.deviation().has(last->id));
}

TEST_F(EngineEdge, AnotherRowUnderTheSameIdIsGivenOut) {
    edge.go_local(now);
    auto lost = *chain_batch({1});
    ++lost.front().fingerprint;
    edge.give(CHAIN_DATABASE, lost);
    edge.merge();
    EXPECT_EQ(given(chain.publish({1})), Ids({1}));
    EXPECT_EQ(edge.state(), State::COMMON);
}

TEST_F(EngineEdge, WhatHasDiedIsNotAheadAnyMore) {
    edge.go_local(now);
    edge.give(CHAIN_DATABASE, *chain_batch({1, 2}));
    edge.merge();
    apply(chain.publish({2}));
    EXPECT_EQ(edge.state(), State::MERGING);
    apply(chain.whole(2));
    EXPECT_EQ(edge.state(), State::COMMON);
}

TEST_F(EngineEdge, WhatIsGivenOutLocallyIsReadOnFromAndNotPartOfTheLedger) {
    apply(chain.publish({1}));
    edge.go_local(now);
    edge.give(CHAIN_DATABASE, *chain_batch({4, 3}));
    EXPECT_EQ(ledger().max_seen, 1);
    const auto given = edge.databases().at(CHAIN_DATABASE).given();
    EXPECT_EQ(given->max_seen, 4);
    EXPECT_TRUE(given->gaps.contains(2));
    EXPECT_FALSE(given->gaps.contains(3));
}

TEST_F(EngineEdge, InAForkWhatTheOtherChainLacksIsTakenBack) {
    apply(chain.publish({1}));
    const EntryId from = edge.applied();
    Chain other = chain;
    apply(chain.publish({2, 3}));
    EXPECT_EQ(apply(other.barrier(6)).verdict, Verdict::APPLIED);
    EXPECT_EQ(edge.state(), State::MERGING);
    EXPECT_TRUE(ledger().gaps.contains(2)) << "who leads from here has to publish it";
    EXPECT_EQ(edge.log().published_in(CHAIN_DATABASE, 2), std::nullopt);
    EXPECT_EQ(given(other.publish({3, 4, 2})), Ids({4}));
    EXPECT_EQ(edge.state(), State::COMMON);
    EXPECT_EQ(edge.deviation().from, from);
}

TEST_F(EngineEdge, AHoleIsFollowedByAReadOfTheTable) {
    apply(chain.publish({1}));
    apply(chain.whole(1));
    chain.publish({2}); // and it is trimmed
    const EntryPtr next = chain.publish({3});
    EXPECT_EQ(apply(next).verdict, Verdict::HOLE);
    EXPECT_EQ(edge.state(), State::LOCAL);
    EXPECT_FALSE(edge.merge()) << "the table was not read yet";
    edge.give(CHAIN_DATABASE, *chain_batch({2, 3, 5}));
    edge.tables_read();
    EXPECT_TRUE(edge.merge());
    EXPECT_EQ(given(next), Ids());
    EXPECT_FALSE(edge.has_ledgers()) << "what the hole had is not known";
    EXPECT_EQ(given(chain.publish({4})), Ids({4}));
    EXPECT_EQ(edge.state(), State::MERGING);
    apply(chain.whole(4));
    EXPECT_EQ(edge.state(), State::MERGING) << "5 is ahead";
    EXPECT_EQ(given(chain.publish({5, 6})), Ids({6}));
    EXPECT_EQ(edge.state(), State::COMMON);
}

TEST_F(EngineEdge, AHoleInWhichMoreWasTrimmedMeanwhileIsAnotherHole) {
    apply(chain.publish({1}));
    chain.publish({2});
    EXPECT_EQ(apply(chain.publish({3})).verdict, Verdict::HOLE);
    edge.tables_read();
    edge.merge();
    EXPECT_EQ(apply(chain.publish({4})).verdict, Verdict::HOLE);
    EXPECT_FALSE(edge.merge());
}

TEST_F(EngineEdge, WhatWasGivenOutAfterAHoleIsNotReadAgain) {
    apply(chain.publish({1}));
    const auto miss_and_read = [&](std::initializer_list<Id> read) {
        chain.publish({9});
        const EntryPtr next = chain.publish({2});
        EXPECT_EQ(apply(next).verdict, Verdict::HOLE);
        edge.give(CHAIN_DATABASE, *chain_batch(read));
        edge.tables_read();
        edge.merge();
        apply(next);
    };
    miss_and_read({2});
    EXPECT_EQ(given(chain.publish({3})), Ids({3}));
    const auto given_out = edge.databases().at(CHAIN_DATABASE).given();
    EXPECT_TRUE(has_decided(*given_out, 3));
    EXPECT_FALSE(has_decided(*given_out, 4));
    miss_and_read({4});
    EXPECT_EQ(given(chain.publish({3, 4})), Ids()) << "also in the second one";
}

TEST_F(EngineEdge, WhatIsAheadForLongIsKeptAsALedger) {
    edge.go_local(now);
    auto batch = std::make_shared<Batch>();
    for (Id id = 1; id <= static_cast<Id>(FollowedDatabase::MAX_AHEAD) + 5; ++id)
        if (id != 7)
            batch->push_back(chain_notification(id));
    edge.give(CHAIN_DATABASE, *batch);
    edge.merge();
    EXPECT_TRUE(edge.has_ledgers()) << "it may lead";
    EXPECT_EQ(ledger().max_seen, 0);
    EXPECT_TRUE(edge.wants_ledger());
    EXPECT_EQ(given(chain.publish({6, 7, 8})), Ids({7}));
    apply(chain.whole(8, {3}));
    EXPECT_FALSE(edge.has_ledgers() && edge.state() == State::COMMON);
    EXPECT_EQ(given(chain.publish({3})), Ids());
    apply(chain.whole(static_cast<Id>(FollowedDatabase::MAX_AHEAD) + 5));
    EXPECT_EQ(edge.state(), State::COMMON);
    EXPECT_FALSE(edge.wants_ledger());
}

// The chain of others, after this gateway's part of it was lost: what it gave out comes again there.
TEST_F(EngineEdge, WhatWasGivenOutBeforeAHoleIsNotGivenOutAgain) {
    apply(chain.publish({1}));
    Chain others({9, 0});
    apply(chain.publish({2, 4}));
    const EntryPtr first = others.publish({2});
    EXPECT_EQ(apply(first).verdict, Verdict::HOLE);
    edge.tables_read();
    edge.merge();
    EXPECT_EQ(given(first), Ids());
    EXPECT_EQ(given(others.publish({3})), Ids({3})) << "it was a gap";
    apply(others.whole(3));
    EXPECT_EQ(edge.state(), State::MERGING) << "4 was given out, and is to come";
    EXPECT_EQ(given(others.publish({4, 5})), Ids({5}));
    EXPECT_EQ(edge.state(), State::COMMON);
}

TEST_F(EngineEdge, ATableThatWasAdoptedIsNotGivenOutWhenTheOrderShowsIt) {
    Edge fresh(bounds);
    fresh.go_local(now);
    fresh.adopt(CHAIN_DATABASE, Checkpoint{.max_seen = 2});
    fresh.merge();
    Chain order({7, 0});
    const EntryPtr begin = order.begin();
    EXPECT_EQ(fresh.apply(begin, now).verdict, Verdict::HOLE);
    fresh.tables_read();
    fresh.merge();
    fresh.apply(begin, now);
    EXPECT_EQ(ids_of(fresh.apply(order.publish({1, 3}), now).given), Ids({3}));
}

TEST_F(EngineEdge, WhatAFreshGatewayHasGivenOutIsFollowedByAHole) {
    Edge fresh(bounds);
    fresh.go_local(now);
    fresh.adopt(CHAIN_DATABASE, Checkpoint{.max_seen = 1});
    fresh.give(CHAIN_DATABASE, *chain_batch({2}));
    fresh.merge();
    chain.publish({3}); // and it is trimmed
    const EntryPtr next = chain.publish({4});
    EXPECT_EQ(fresh.apply(next, now).verdict, Verdict::HOLE);
    EXPECT_FALSE(fresh.merge()) << "the table has 3";
    EXPECT_EQ(Edge(bounds).apply(next, now).verdict, Verdict::APPLIED)
        << "who has given out nothing begins here";
}

// Its leader has no ledger, and counts as given out what no entry has published.
TEST_F(EngineEdge, WhereAnotherGatewayBeginsADatabaseAnewTheTableIsRead) {
    edge.go_local(now);
    edge.give(CHAIN_DATABASE, *chain_batch({1}));
    edge.merge();
    apply(chain.barrier(6));
    const EntryPtr begin = chain.begin(); // 2 was committed before, and is not published
    EXPECT_EQ(apply(begin).verdict, Verdict::HOLE);
    EXPECT_FALSE(edge.merge()) << "the table was not read yet";
    edge.give(CHAIN_DATABASE, *chain_batch({2}));
    edge.tables_read();
    EXPECT_TRUE(edge.merge());
    EXPECT_EQ(apply(begin).verdict, Verdict::APPLIED);
    apply(chain.whole(2));
    EXPECT_EQ(edge.state(), State::COMMON);
    EXPECT_EQ(given(chain.publish({3})), Ids({3}));
}

TEST_F(EngineEdge, WhereADatabaseBeginsAnewTheOthersGoOn) {
    Entry others = *chain.whole(7);
    others.database = "another";
    apply(std::make_shared<const Entry>(others));
    const EntryPtr begin = chain.begin();
    EXPECT_EQ(apply(begin).verdict, Verdict::HOLE);
    edge.tables_read();
    edge.merge();
    apply(begin);
    EXPECT_FALSE(edge.databases().at(CHAIN_DATABASE).ledger());
    EXPECT_TRUE(edge.databases().at("another").ledger());
}

TEST_F(EngineEdge, ADatabaseThatThisGatewayBeginsAnewIsNotReadForItself) {
    apply(chain.publish({1}));
    const EntryPtr begin = chain.begin();
    EXPECT_EQ(edge.apply(begin, now, true).verdict, Verdict::APPLIED);
    EXPECT_EQ(edge.state(), State::COMMON);
}

TEST_F(EngineEdge, AnotherTableBeginsAnew) {
    edge.go_local(now);
    edge.give(CHAIN_DATABASE, *chain_batch({1, 2}));
    edge.merge();
    Entry another = *chain.begin();
    another.event = DatabaseEvent(event::Begin{.missed = true});
    apply(std::make_shared<const Entry>(another));
    EXPECT_EQ(edge.state(), State::COMMON);
    EXPECT_EQ(given(chain.publish({1})), Ids({1}));
}

TEST_F(EngineEdge, ADeviationFromWhichClientsMayStillComeIsPartOfTheNextOne) {
    const EntryId from = edge.applied();
    const auto deviate = [&] {
        edge.go_local(now);
        edge.merge();
        apply(chain.heartbeat());
        EXPECT_EQ(edge.state(), State::COMMON);
    };
    deviate();
    apply(chain.publish({1}));
    deviate();
    EXPECT_EQ(edge.deviation(), (Deviation{.from = from, .until = edge.applied()}));
    const EntryId later = edge.applied();
    now += bounds.age + std::chrono::seconds(1);
    deviate();
    EXPECT_EQ(edge.deviation(), (Deviation{.from = later, .until = edge.applied()}));
}

TEST_F(EngineEdge, AProcessThatIsStartedAnewKnowsWhatIsAhead) {
    const EntryPtr first = chain.publish({1});
    apply(first);
    edge.go_local(now);
    edge.give(CHAIN_DATABASE, *chain_batch({2}));
    Edge again(bounds);
    again.start({.applied = edge.applied(),
                 .deviation = edge.deviation(),
                 .databases = {{CHAIN_DATABASE, FollowedDatabase(ledger(), *chain_batch({2}))}}},
                now);
    EXPECT_EQ(again.state(), State::MERGING);
    EXPECT_FALSE(again.can_refill());
    EXPECT_EQ(again.apply(first, now).verdict, Verdict::KNOWN);
    EXPECT_TRUE(again.can_refill()) << "from the stream it has learned what it may have to append again";
    EXPECT_EQ(ids_of(again.apply(chain.publish({2, 3}), now).given), Ids({3}));
    EXPECT_EQ(again.state(), State::COMMON);
}

TEST_F(EngineEdge, TheLogIsBoundedByAgeAndBytes) {
    EntryLog log({.age = std::chrono::seconds(10), .bytes = 2000});
    Chain entries({5, 0});
    log.start(entries.newest());
    log.append(entries.publish({1}), now);
    log.append(entries.publish({2}), now + std::chrono::seconds(5));
    log.trim(now + std::chrono::seconds(11));
    EXPECT_EQ(log.all().size(), 1u);
    EXPECT_FALSE(log.knows({5, 0}));
    EXPECT_TRUE(log.knows({5, 1})) << "the one before the first";
    EXPECT_EQ(log.after({5, 1})->id, (EntryId{5, 2}));
    EXPECT_EQ(log.published_in(CHAIN_DATABASE, 1), std::nullopt);
    for (Id id = 3; id < 100; ++id)
        log.append(entries.publish({id}), now + std::chrono::seconds(6));
    log.trim(now + std::chrono::seconds(6));
    EXPECT_LT(log.all().size(), 10u);
    EXPECT_EQ(log.newest(), entries.newest());
    log.trim(now + std::chrono::hours(1));
    EXPECT_TRUE(log.empty());
    EXPECT_EQ(log.newest(), entries.newest());
}

} // namespace
} // namespace odoo_bus
