// The read cycle where the simulation says too little: chosen ids one by one, and when the next cycle begins.
#include "ledger/read_cycle.h"

#include <gtest/gtest.h>

#include "simulated_gateway.h"
#include "simulated_postgres.h"

namespace odoo_bus {
namespace {

using Ids = std::vector<Id>;
using std::chrono::milliseconds;
using Statement = ReadCycle::Statement;

class ReadCycleTest : public testing::Test {
protected:
    void send(int backend) {
        const auto writer = postgres.begin(backend);
        postgres.send(writer);
        postgres.commit(writer);
    }
    void send_chosen(int backend, Id beyond) {
        const auto writer = postgres.begin(backend);
        postgres.choose(writer, beyond);
        postgres.insert(writer);
        postgres.commit(writer);
    }

    SimulatedPostgres postgres;
    SimulatedGateway gateway{postgres};
};

TEST_F(ReadCycleTest, AChosenIdIsDispatchedOnceAndOpensNoGaps) {
    send_chosen(1, 4);
    gateway.cycle();
    gateway.cycle();
    EXPECT_EQ(gateway.dispatched(), Ids({4}));
    EXPECT_EQ(gateway.ledger().max_seen(), 0);
    EXPECT_FALSE(gateway.ledger().has_gaps());
    EXPECT_TRUE(gateway.read_cycle().is_decided(4));
    EXPECT_FALSE(gateway.read_cycle().is_decided(3));
    EXPECT_EQ(gateway.read_cycle().newest(), 4);
    for (int i = 0; i < 5; ++i) // the fourth is refused: its id is taken
        send(2);
    gateway.cycle_until_quiet();
    EXPECT_EQ(gateway.dispatched(), Ids({4, 1, 2, 3, 5}));
    EXPECT_TRUE(gateway.read_cycle().chosen().empty());
    EXPECT_FALSE(gateway.ledger().has_gaps());
}

TEST_F(ReadCycleTest, AChosenIdBelowAnotherOneComesWhenTheSequenceHasPassedIt) {
    send_chosen(1, 5);
    gateway.cycle();
    send_chosen(1, 3);
    gateway.cycle();
    EXPECT_EQ(gateway.dispatched(), Ids({5}));
    for (int i = 0; i < 3; ++i)
        send(2);
    gateway.cycle_until_quiet();
    EXPECT_EQ(gateway.dispatched(), Ids({5, 1, 2, 3}));
}

TEST_F(ReadCycleTest, AChosenIdWaitsForEverythingElseOfItsSnapshot) {
    SimulatedGateway narrow(postgres, {.read_rows = 2});
    for (int i = 0; i < 4; ++i)
        send(1);
    send_chosen(2, 100);
    narrow.cycle();
    EXPECT_EQ(narrow.dispatched(), Ids({1, 2})) << "it may be an effect of those that did not fit";
    EXPECT_EQ(narrow.rest(), milliseconds(0));
    narrow.cycle_until_quiet();
    EXPECT_EQ(narrow.dispatched(), Ids({1, 2, 3, 4, 104}));
}

TEST_F(ReadCycleTest, MoreChosenIdsThanFitAreFollowedByAnotherCycle) {
    SimulatedGateway narrow(postgres, {.read_rows = 2});
    for (Id beyond = 10; beyond < 15; ++beyond)
        send_chosen(1, beyond);
    narrow.cycle();
    EXPECT_EQ(narrow.rest(), milliseconds(0));
    narrow.cycle_until_quiet();
    EXPECT_EQ(narrow.dispatched(), Ids({10, 11, 12, 13, 14}));
}

TEST_F(ReadCycleTest, WhatAnAnswerHasNoRoomForIsReadAtOnce) {
    SimulatedGateway narrow(postgres, {}, [](size_t) { return size_t{1}; });
    for (int i = 0; i < 3; ++i)
        send(1);
    send_chosen(2, 100);
    send_chosen(2, 101);
    narrow.cycle();
    EXPECT_EQ(narrow.dispatched(), Ids({1}));
    EXPECT_EQ(narrow.rest(), milliseconds(0));
    narrow.cycle_until_quiet();
    EXPECT_EQ(narrow.dispatched(), Ids({1, 2, 3, 103, 104}));
}

TEST_F(ReadCycleTest, AProbeThatIsCutSaysNothingOfWhatComesAfterItsLastRow) {
    SimulatedGateway narrow(postgres, {}, [](size_t) { return size_t{1}; });
    const auto slow = postgres.begin(1);
    for (int i = 0; i < 3; ++i)
        postgres.send(slow); // 1, 2, 3
    send(2);                 // 4
    narrow.cycle_until_quiet();
    EXPECT_EQ(narrow.dispatched(), Ids({4}));
    postgres.commit(slow);
    narrow.cycle_until_quiet();
    EXPECT_EQ(narrow.dispatched(), Ids({4, 1, 2, 3}));
    EXPECT_TRUE(narrow.ledger().gaps().empty());
}

TEST_F(ReadCycleTest, AChosenIdThatWasReadWhenTheConnectionWasLostIsReadAgain) {
    const auto slow = postgres.begin(1);
    postgres.send(slow); // 1
    send(2);             // 2
    gateway.cycle();
    send_chosen(2, 100);
    gateway.read_only(); // it waits for the probes
    EXPECT_EQ(gateway.dispatched(), Ids({2}));
    gateway.lose_connection();
    postgres.commit(slow);
    gateway.cycle();
    EXPECT_EQ(gateway.dispatched(), Ids({2, 1, 102}));
}

TEST_F(ReadCycleTest, AChosenIdThatTheServerLostMayBeChosenAgain) {
    IdSet chosen;
    chosen.add(10);
    ReadCycle cycle;
    cycle.start(0, {}, chosen);
    cycle.begin();
    EXPECT_EQ(cycle.read().chosen, 10);
    cycle.start(0, {}, {});
    cycle.begin();
    EXPECT_EQ(cycle.read().chosen, 0);
}

TEST_F(ReadCycleTest, ADoorbellWhileACycleIsUnderWayIsFollowedByAnotherOneAtOnce) {
    ReadCycle cycle;
    cycle.start(0, {}, {});
    EXPECT_TRUE(cycle.begin());
    EXPECT_FALSE(cycle.begin());
    cycle.saw({});
    EXPECT_EQ(cycle.next(), Statement::NONE);
    EXPECT_FALSE(cycle.begin()) << "it is finished, and did not rest yet";
    EXPECT_EQ(cycle.rest(), milliseconds(0));
    EXPECT_TRUE(cycle.begin());
    cycle.saw({});
    EXPECT_EQ(cycle.rest(), std::nullopt);
}

TEST_F(ReadCycleTest, GapsAreReCheckedLessAndLessOftenUntilTheDoorbellRings) {
    ReadCycle cycle;
    cycle.start(0, {}, {});
    const std::vector<Holder> holders = {parse_holder("1/1")};
    const auto run = [&](std::vector<Row> rows) {
        cycle.begin();
        cycle.saw(std::move(rows));
        cycle.hold(holders);
        if (cycle.next() == Statement::PROBE)
            cycle.probed({});
        return cycle.rest();
    };
    EXPECT_EQ(run({{.id = 2}}), milliseconds(10)) << "the next snapshot may show it";
    EXPECT_EQ(run({}), milliseconds(20));
    EXPECT_EQ(run({}), milliseconds(40));
    for (int i = 0; i < 6; ++i)
        run({});
    EXPECT_EQ(run({}), milliseconds(1000));
    cycle.ring();
    EXPECT_EQ(run({}), milliseconds(10));
    EXPECT_EQ(run({}), milliseconds(20));
    EXPECT_EQ(run({{.id = 4}}), milliseconds(10)) << "another one that the next snapshot may show";
}

TEST_F(ReadCycleTest, HoldersAreLookedUpBeforeTheReadWhileManyGapsAreOpen) {
    IdSet gaps;
    gaps.add({1, 10'000});
    ReadCycle cycle;
    cycle.start(10'000, gaps, {});
    cycle.begin();
    EXPECT_EQ(cycle.next(), Statement::HOLDERS);
    cycle.hold({});
    EXPECT_EQ(cycle.next(), Statement::READ);
    EXPECT_TRUE(cycle.read().keeps_snapshot);
    cycle.saw({});
    EXPECT_EQ(cycle.next(), Statement::HOLDERS);
    cycle.hold({});
    EXPECT_EQ(cycle.next(), Statement::PROBE);
    cycle.probed({});
    EXPECT_EQ(cycle.next(), Statement::NONE);
    EXPECT_FALSE(cycle.ledger().has_gaps()) << "one snapshot decides them";
    cycle.rest();
    gaps.remove(1);
    cycle.start(10'000, gaps, {});
    cycle.begin();
    EXPECT_EQ(cycle.next(), Statement::READ);
}

} // namespace
} // namespace odoo_bus
