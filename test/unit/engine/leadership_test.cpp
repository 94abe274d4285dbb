// Who leads, one situation at a time.
#include "engine/leadership.h"

#include "engine_fixture.h"

namespace odoo_bus {
namespace {

using Phase = Leadership::Phase;

class EngineLeadership : public EngineTest {
protected:
    // Of a gateway that knows the newest, and was given the lock.
    std::optional<command::Append> take_barrier() {
        connect();
        follow_some();
        run(1s);
        engine.locked(now);
        run(300ms);
        return take<command::Append>();
    }
};

TEST_F(EngineLeadership, AGatewayThatKnowsNothingWaitsForOthersOverAnEmptyStream) {
    connect();
    tick();
    EXPECT_TRUE(take<command::WaitForLock>());
    engine.locked(now);
    run(4900ms);
    EXPECT_EQ(phase(), Phase::CHECKING);
    EXPECT_FALSE(take<command::Append>());
    run(300ms);
    const auto barrier = take<command::Append>();
    ASSERT_TRUE(barrier) << "as a first start";
    EXPECT_TRUE(std::holds_alternative<entry::Barrier>(barrier->entry->event));
    append(*barrier);
    follow(barrier->entry);
    EXPECT_TRUE(take<command::Lead>());
    EXPECT_EQ(engine.edge().applied(), barrier->entry->id);
}

TEST_F(EngineLeadership, AGatewayThatKnowsNothingLeavesTheLockToOneThatKnowsSomething) {
    connect();
    tick();
    hear_of({.applied = {5, 3}, .can_lead = true});
    engine.locked(now);
    run(1s);
    EXPECT_TRUE(take<command::Unlock>());
    EXPECT_FALSE(take<command::Append>());
    take<command::WaitForLock>();
    run(1100ms);
    EXPECT_TRUE(take<command::WaitForLock>()) << "later again";
}

TEST_F(EngineLeadership, AGatewayThatKnowsMoreIsWaitedForToRefill) {
    connect();
    follow_some();
    hear_of({.applied = {5, 4}, .can_lead = true});
    run(1s);
    engine.locked(now);
    for (int i = 0; i < 4; ++i) {
        records["other"].sent = now;
        run(1s);
        EXPECT_FALSE(take<command::Append>()) << i;
    }
    follow(chain.publish({2})); // 5-4
    run(200ms);
    EXPECT_TRUE(take<command::Append>());
}

TEST_F(EngineLeadership, AGatewayThatIsGoneIsNotWaitedFor) {
    connect();
    follow_some();
    hear_of({.applied = {5, 4}, .can_lead = true});
    run(2500ms); // its record does not change
    engine.locked(now);
    run(300ms);
    EXPECT_TRUE(take<command::Append>());
}

TEST_F(EngineLeadership, NothingIsReadForOthersBeforeTheBarrierIsInTheStream) {
    const auto barrier = take_barrier();
    ASSERT_TRUE(barrier);
    EXPECT_EQ(barrier->entry->previous, chain.newest());
    EXPECT_EQ(barrier->entry->id.seq, 4u);
    EXPECT_GE(barrier->entry->id.epoch, 1000u);
    const EntryPtr quicker = chain.publish({2}); // the former leader's
    head_is(quicker->id);
    EXPECT_FALSE(take<command::Lead>());
    EXPECT_FALSE(publish(3));
    run(300ms);
    EXPECT_FALSE(take<command::Append>()) << "the own edge did not apply it yet";
    follow(quicker);
    run(300ms);
    const auto next = take<command::Append>();
    ASSERT_TRUE(next);
    EXPECT_EQ(next->entry->previous, quicker->id);
    EXPECT_EQ(next->entry->id.seq, 5u);
    EXPECT_GT(next->entry->id.epoch, barrier->entry->id.epoch) << "an epoch is used once";
    append(*next);
    follow(next->entry);
    EXPECT_TRUE(take<command::Lead>());
}

TEST_F(EngineLeadership, OfTwoThatHaveChosenOneEpochOneLeads) {
    const auto barrier = take_barrier();
    ASSERT_TRUE(barrier);
    Entry others = *barrier->entry;
    others.event = entry::Barrier{"another"};
    head_is(others.id);
    follow(std::make_shared<const Entry>(others));
    EXPECT_FALSE(take<command::Lead>());
    EXPECT_EQ(phase(), Phase::CHECKING);
    run(300ms);
    EXPECT_GT(take<command::Append>()->entry->id.epoch, others.id.epoch);
}

TEST_F(EngineLeadership, WhereNobodyKnowsALedgerItIsBegunAnew) {
    connect();
    follow(chain.begin());
    follow(chain.publish({1})); // and its leader died
    hear_of({.applied = {5, 1}, .can_lead = true});
    run(1s);
    engine.locked(now);
    for (int i = 0; i < 12; ++i) {
        records["other"].sent = now;
        run(500ms);
    }
    EXPECT_TRUE(take<command::Unlock>()) << "one knows it";
    EXPECT_FALSE(take<command::Append>());
    run(3500ms); // it has gone
    engine.locked(now);
    run(4900ms);
    EXPECT_FALSE(take<command::Append>());
    run(300ms);
    EXPECT_TRUE(take<command::Append>());
}

// Not after what stands in the table by then: its clients would not be given what it did not read before.
TEST_F(EngineLeadership, ADatabaseIsBegunAnewAfterWhatWasGivenOutHere) {
    for (int i = 0; i < 40; ++i)
        tick();
    ASSERT_TRUE(take<command::ReadTables>()) << "there is no Redis";
    engine.adopt(CHAIN_DATABASE, Checkpoint{.max_seen = 1});
    engine.give(CHAIN_DATABASE, *chain_batch({2})); // and 3 is committed later
    connect();
    engine.locked(now);
    run(5300ms);
    const auto barrier = take<command::Append>();
    ASSERT_TRUE(barrier);
    append(*barrier);
    follow(barrier->entry);
    ASSERT_TRUE(take<command::Lead>());
    const auto from = engine.edge().databases().at(CHAIN_DATABASE).lead_from();
    ASSERT_TRUE(from);
    EXPECT_TRUE(has_decided(*from, 2));
    EXPECT_FALSE(has_decided(*from, 3)) << "nobody else would publish it";

    engine.publish(CHAIN_DATABASE, event::Begin{}, now);
    append(take<command::Append>().value());
    EXPECT_NE(engine.edge().state(), Edge::State::LOCAL) << "its own beginning is no hole";
    engine.announce(CHAIN_DATABASE, *from, now);
    append(take<command::Append>().value());
    commands.clear();
    publish(3);
    append(take<command::Append>().value());
    EXPECT_EQ(ids_of(take<command::Give>()->batch), std::vector<Id>({3}));
    EXPECT_EQ(engine.edge().state(), Edge::State::COMMON);
}

TEST_F(EngineLeadership, ASilentHoldersSessionIsEnded) {
    connect();
    follow_some();
    run(2900ms);
    EXPECT_FALSE(take<command::EndHolder>());
    run(200ms);
    EXPECT_TRUE(take<command::EndHolder>());
    run(2s);
    EXPECT_FALSE(take<command::EndHolder>()) << "once for each silence";
}

TEST_F(EngineLeadership, WhoWasStoppedItselfEndsNoOnesSession) {
    connect();
    follow_some();
    run(1s);
    tick(20s);
    run(2s);
    EXPECT_FALSE(take<command::EndHolder>());
}

TEST_F(EngineLeadership, AnEdgeDoesNotSeekTheLock) {
    Engine edge({.name = "edge", .may_lead = false, .history = HISTORY}, {}, now);
    edge.connected(now);
    for (int i = 0; i < 100; ++i)
        edge.tick(now += 100ms, 1000);
    for (const Command& command : edge.take_commands())
        EXPECT_FALSE(std::holds_alternative<command::WaitForLock>(command) ||
                     std::holds_alternative<command::EndHolder>(command));
}

TEST_F(EngineLeadership, AnEdgeThatMayNotWriteReadsTheRecordsOfOthers) {
    Engine edge({.name = "edge", .may_lead = false, .may_write = false, .history = HISTORY}, {}, now);
    edge.connected(now);
    bool has_asked = false;
    for (const Command& command : edge.take_commands())
        if (const auto* const exchange = std::get_if<command::ExchangeRecords>(&command)) {
            has_asked = true;
            EXPECT_FALSE(exchange->own);
        }
    EXPECT_TRUE(has_asked);
}

} // namespace
} // namespace odoo_bus
