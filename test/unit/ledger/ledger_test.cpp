// The ledger in each interleaving that has a name.
#include "ledger/ledger.h"

#include <deque>

#include <gtest/gtest.h>

#include "simulated_gateway.h"
#include "simulated_postgres.h"

namespace odoo_bus {
namespace {

using Ids = std::vector<Id>;

class LedgerTest : public testing::Test {
protected:
    // Every writer has ended: then nothing may be wrong or open.
    void expect_all_well() {
        gateway.cycle_until_quiet();
        gateway.cycle();
        EXPECT_EQ(complaint(postgres, gateway), "");
    }

    SimulatedPostgres postgres;
    SimulatedGateway gateway{postgres};
};

TEST_F(LedgerTest, LateCommitOfALowId) {
    const auto slow = postgres.begin(1), fast = postgres.begin(2);
    postgres.send(slow);
    postgres.send(fast);
    postgres.commit(fast);
    gateway.cycle();
    EXPECT_EQ(gateway.dispatched(), Ids({2}));
    EXPECT_TRUE(gateway.ledger().is_gap(1));
    gateway.cycle();
    EXPECT_TRUE(gateway.ledger().is_gap(1)) << "it waits as long as its transaction";
    postgres.commit(slow);
    gateway.cycle();
    EXPECT_EQ(gateway.dispatched(), Ids({2, 1}));
    expect_all_well();
}

TEST_F(LedgerTest, TenThousandLaterIdsAreDispatchedWhileOneTransactionSleeps) {
    const auto slow = postgres.begin(1);
    postgres.send(slow);
    for (int i = 0; i < 10'000; ++i) {
        const auto fast = postgres.begin(2);
        postgres.send(fast);
        postgres.commit(fast);
        if (i % 100 == 0)
            gateway.cycle();
    }
    gateway.cycle_until_quiet();
    EXPECT_EQ(gateway.dispatched().size(), 10'000u);
    postgres.commit(slow);
    gateway.cycle();
    EXPECT_EQ(gateway.dispatched().back(), 1);
    expect_all_well();
}

TEST_F(LedgerTest, AGapOfARollbackDies) {
    const auto failing = postgres.begin(1), other = postgres.begin(2);
    postgres.send(failing);
    postgres.send(other);
    postgres.commit(other);
    postgres.rollback(failing);
    gateway.cycle();
    EXPECT_TRUE(gateway.ledger().is_gap(1)) << "it may have been committed after the snapshot";
    gateway.cycle();
    EXPECT_FALSE(gateway.ledger().has_gaps());
    EXPECT_EQ(gateway.ledger().stats().died, 1u);
    expect_all_well();
}

TEST_F(LedgerTest, ARolledBackSavepointDiesWithItsTransaction) {
    const auto writer = postgres.begin(1);
    postgres.send(writer);
    postgres.savepoint(writer);
    postgres.send(writer);
    postgres.rollback_to_savepoint(writer);
    postgres.send(writer);
    const auto other = postgres.begin(2);
    postgres.send(other);
    postgres.commit(other);
    gateway.cycle();
    EXPECT_EQ(gateway.ledger().gaps().size(), 3u);
    postgres.commit(writer);
    gateway.cycle();
    EXPECT_EQ(gateway.dispatched(), Ids({4, 1, 3}));
    gateway.cycle();
    EXPECT_FALSE(gateway.ledger().has_gaps());
    expect_all_well();
}

TEST_F(LedgerTest, TheNewestIdIsRolledBack) {
    const auto writer = postgres.begin(1);
    postgres.send(writer);
    postgres.rollback(writer);
    gateway.cycle();
    EXPECT_EQ(gateway.ledger().max_seen(), 0) << "nobody has seen it, so that it is no gap yet";
    const auto next = postgres.begin(1);
    postgres.send(next);
    postgres.commit(next);
    gateway.cycle();
    EXPECT_EQ(gateway.dispatched(), Ids({2}));
    gateway.cycle();
    EXPECT_FALSE(gateway.ledger().has_gaps());
    expect_all_well();
}

TEST_F(LedgerTest, AGapFillsWhileTheConnectionIsLost) {
    const auto slow = postgres.begin(1), fast = postgres.begin(2);
    postgres.send(slow);
    postgres.send(fast);
    postgres.commit(fast);
    gateway.cycle();
    gateway.lose_connection();
    postgres.commit(slow);
    gateway.cycle();
    EXPECT_EQ(gateway.dispatched(), Ids({2, 1}));
    expect_all_well();
}

TEST_F(LedgerTest, TheConnectionIsLostBetweenReadAndHolders) {
    const auto slow = postgres.begin(1), fast = postgres.begin(2);
    postgres.send(slow);
    postgres.send(fast);
    postgres.commit(fast);
    gateway.read_only();
    EXPECT_EQ(gateway.dispatched(), Ids({2})) << "no gap was open that could be its cause";
    gateway.lose_connection();
    gateway.cycle();
    EXPECT_TRUE(gateway.ledger().is_gap(1));
    const auto next = postgres.begin(2);
    postgres.send(next);
    postgres.commit(next);
    gateway.read_only();
    EXPECT_EQ(gateway.dispatched(), Ids({2})) << "a row of a read waits for the probes";
    gateway.lose_connection();
    gateway.cycle();
    EXPECT_EQ(gateway.dispatched(), Ids({2, 3}));
    postgres.commit(slow);
    expect_all_well();
}

TEST_F(LedgerTest, TheConnectionIsLostBetweenTwoProbes) {
    SimulatedGateway narrow(postgres, {.probe_ranges = 1});
    const auto first = postgres.begin(1), second = postgres.begin(2);
    for (int i = 0; i < 2; ++i) {
        postgres.send(first);
        postgres.send(second);
    }
    postgres.commit(second);
    narrow.cycle(); // 2, 4
    postgres.send(first);
    const auto third = postgres.begin(2);
    postgres.send(third);
    postgres.commit(third);
    postgres.commit(first);
    narrow.step(); // read: 5, 6
    narrow.step(); // holders
    narrow.step(); // probe: 1
    EXPECT_EQ(narrow.dispatched(), Ids({2, 4, 1}));
    narrow.lose_connection();
    narrow.cycle_until_quiet();
    EXPECT_EQ(narrow.dispatched(), Ids({2, 4, 1, 3, 5, 6}));
    EXPECT_EQ(complaint(postgres, narrow), "");
}

TEST_F(LedgerTest, APreparedTransactionIsRenamedByARestart) {
    const auto prepared = postgres.begin(1), fast = postgres.begin(2);
    postgres.send(prepared);
    postgres.send(fast);
    postgres.commit(fast);
    postgres.prepare(prepared);
    gateway.cycle();
    postgres.restart();
    gateway.lose_connection();
    for (int i = 0; i < 3; ++i)
        gateway.cycle();
    EXPECT_TRUE(gateway.ledger().is_gap(1)) << "its old name has gone, its lock has not";
    postgres.commit(prepared);
    gateway.cycle();
    EXPECT_EQ(gateway.dispatched(), Ids({2, 1}));
    expect_all_well();
}

TEST_F(LedgerTest, ANameIsTakenByAnotherTransactionAfterARestart) {
    const auto lost = postgres.begin(1), fast = postgres.begin(2);
    postgres.send(lost);
    postgres.send(fast);
    postgres.commit(fast);
    gateway.cycle();
    postgres.restart();
    gateway.lose_connection();
    const auto newcomer = postgres.begin(1); // 1/1, as the lost one was
    postgres.lock(newcomer);
    gateway.cycle();
    EXPECT_TRUE(gateway.ledger().is_gap(1)) << "it cannot be told apart yet, and waits";
    postgres.rollback(newcomer);
    expect_all_well();
}

TEST_F(LedgerTest, APreparedTransactionKeepsItsGapsOpen) {
    const auto prepared = postgres.begin(1), fast = postgres.begin(2);
    postgres.send(prepared);
    postgres.prepare(prepared);
    postgres.send(fast);
    postgres.commit(fast);
    const auto next = postgres.begin(1); // the connection goes on
    postgres.send(next);
    postgres.commit(next);
    for (int i = 0; i < 3; ++i)
        gateway.cycle();
    EXPECT_TRUE(gateway.ledger().is_gap(1));
    postgres.become_visible(prepared);
    gateway.cycle();
    postgres.release(prepared);
    expect_all_well();
    EXPECT_EQ(gateway.dispatched(), Ids({2, 3, 1}));
}

TEST_F(LedgerTest, TheDoorbellIsLost) {
    // Nothing depends on the doorbell: the read that comes a second later finds the same.
    const auto writer = postgres.begin(1);
    postgres.send(writer);
    gateway.cycle();
    postgres.commit(writer);
    EXPECT_EQ(gateway.dispatched(), Ids());
    gateway.cycle();
    EXPECT_EQ(gateway.dispatched(), Ids({1}));
    expect_all_well();
}

TEST_F(LedgerTest, TheDoorbellComesBeforeTheRowIsVisible) {
    const auto slow = postgres.begin(1), writer = postgres.begin(2);
    postgres.send(slow);
    postgres.send(writer);
    gateway.cycle(); // rung by either: nothing is visible yet
    EXPECT_EQ(gateway.dispatched(), Ids());
    postgres.commit(writer);
    gateway.cycle();
    EXPECT_EQ(gateway.dispatched(), Ids({2}));
    gateway.cycle(); // rung by `slow`
    postgres.commit(slow);
    gateway.cycle();
    EXPECT_EQ(gateway.dispatched(), Ids({2, 1}));
    expect_all_well();
}

TEST_F(LedgerTest, TheHolderEndsBetweenReadAndHolders) {
    const auto slow = postgres.begin(1), fast = postgres.begin(2);
    postgres.send(slow);
    postgres.send(fast);
    postgres.commit(fast);
    gateway.read_only();
    postgres.commit(slow); // no holder is left that could be noted for the gap
    gateway.cycle();
    EXPECT_TRUE(gateway.ledger().is_gap(1)) << "the snapshot of the read did not show it";
    EXPECT_TRUE(gateway.ledger().is_due()) << "and the next one should be taken soon";
    gateway.cycle();
    EXPECT_EQ(gateway.dispatched(), Ids({2, 1}));
    expect_all_well();
}

TEST_F(LedgerTest, TheHolderEndsBetweenReadAndHoldersWhileItsGapIsOpen) {
    const auto slow = postgres.begin(1), fast = postgres.begin(2);
    postgres.send(slow);
    postgres.send(fast);
    postgres.commit(fast);
    gateway.cycle();
    gateway.cycle();
    gateway.read_only();
    postgres.commit(slow);
    gateway.cycle(); // the probe is in the snapshot of the read
    EXPECT_TRUE(gateway.ledger().is_gap(1));
    gateway.cycle();
    EXPECT_EQ(gateway.dispatched(), Ids({2, 1}));
    expect_all_well();
}

TEST_F(LedgerTest, TheHolderEndsBetweenHoldersAndProbe) {
    const auto slow = postgres.begin(1), fast = postgres.begin(2);
    postgres.send(slow);
    postgres.send(fast);
    postgres.commit(fast);
    gateway.cycle();
    gateway.step(); // read
    gateway.step(); // holders: slow
    postgres.commit(slow);
    gateway.step(); // probe
    EXPECT_TRUE(gateway.ledger().is_gap(1));
    gateway.cycle();
    EXPECT_EQ(gateway.dispatched(), Ids({2, 1}));
    expect_all_well();
}

TEST_F(LedgerTest, TheHolderIsVisibleAndStillHasItsLock) {
    const auto slow = postgres.begin(1), fast = postgres.begin(2);
    postgres.send(slow);
    postgres.send(fast);
    postgres.commit(fast);
    gateway.cycle();
    postgres.become_visible(slow);
    // Another session has seen it, and sends.
    const auto effect = postgres.begin(2);
    postgres.send(effect);
    postgres.commit(effect);
    gateway.cycle();
    EXPECT_EQ(gateway.dispatched(), Ids({2, 1, 3}));
    postgres.release(slow);
    expect_all_well();
}

TEST_F(LedgerTest, AHolderThatHasNotDrawnYet) {
    const auto late = postgres.begin(1), first = postgres.begin(2);
    postgres.lock(late);
    const auto failing = postgres.begin(3);
    postgres.send(failing);
    postgres.send(first);
    postgres.commit(first);
    gateway.cycle(); // 1 waits for late, too
    postgres.rollback(failing);
    gateway.cycle();
    EXPECT_TRUE(gateway.ledger().is_gap(1));
    postgres.draw(late);
    postgres.insert(late);
    postgres.commit(late);
    expect_all_well();
    EXPECT_EQ(gateway.dispatched(), Ids({2, 3}));
}

TEST_F(LedgerTest, AnIdIsDrawnAndNeverInserted) {
    const auto writer = postgres.begin(1);
    postgres.lock(writer);
    postgres.draw(writer); // and then a constraint refuses the row
    postgres.send(writer);
    postgres.commit(writer);
    gateway.cycle();
    EXPECT_EQ(gateway.dispatched(), Ids({2}));
    gateway.cycle();
    EXPECT_FALSE(gateway.ledger().has_gaps());
    expect_all_well();
}

TEST_F(LedgerTest, TwoGapsOfOneTransaction) {
    const auto slow = postgres.begin(1), fast = postgres.begin(2);
    postgres.send(slow);
    postgres.send(fast);
    postgres.send(slow);
    postgres.send(fast);
    postgres.commit(fast);
    gateway.cycle();
    EXPECT_EQ(gateway.dispatched(), Ids({2, 4}));
    postgres.commit(slow);
    gateway.cycle();
    EXPECT_EQ(gateway.dispatched(), Ids({2, 4, 1, 3}));
    expect_all_well();
}

TEST_F(LedgerTest, TheAnswerOfAProbeIsCutByItsLimit) {
    SimulatedGateway narrow(postgres, {.probe_ranges = 2, .probe_rows = 3});
    const auto slow = postgres.begin(1), fast = postgres.begin(2);
    for (int i = 0; i < 10; ++i)
        postgres.send(slow); // 1 to 10
    postgres.send(fast);     // 11
    postgres.send(slow);     // 12
    postgres.send(fast);     // 13
    postgres.commit(fast);
    narrow.cycle();
    EXPECT_EQ(narrow.dispatched(), Ids({11, 13}));
    postgres.commit(slow);
    narrow.cycle();
    EXPECT_EQ(narrow.dispatched(), Ids({11, 13, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12}));
    EXPECT_EQ(complaint(postgres, narrow), "");
}

TEST_F(LedgerTest, TheAnswerOfAReadIsCutByItsLimit) {
    SimulatedGateway narrow(postgres, {.read_rows = 2});
    const auto slow = postgres.begin(1), fast = postgres.begin(2);
    for (int i = 0; i < 5; ++i) {
        postgres.send(slow);
        postgres.send(fast);
    }
    postgres.commit(fast);
    narrow.cycle();
    EXPECT_EQ(narrow.dispatched(), Ids({2, 4}));
    postgres.commit(slow);
    narrow.cycle_until_quiet();
    EXPECT_EQ(narrow.dispatched(), Ids({2, 4, 1, 3, 5, 6, 7, 8, 9, 10}));
    EXPECT_EQ(complaint(postgres, narrow), "");
}

TEST_F(LedgerTest, WhatAProbeFindsGoesBeforeTheRowsOfItsRead) {
    SimulatedGateway narrow(postgres, {.probe_ranges = 1});
    const auto slow = postgres.begin(1), fast = postgres.begin(2);
    postgres.send(slow);
    postgres.send(fast);
    postgres.commit(fast);
    narrow.cycle();
    const auto between = postgres.begin(2);
    postgres.send(slow);
    postgres.send(between);
    postgres.commit(between);
    postgres.commit(slow);
    narrow.cycle();
    EXPECT_EQ(narrow.dispatched(), Ids({2, 1, 3, 4}));
    EXPECT_EQ(complaint(postgres, narrow), "");
}

// A prepared transaction is visible before it loses its name: a session that has seen it may have sent
// already.
TEST_F(LedgerTest, APreparedTransactionIsVisibleAndStillHasItsName) {
    const auto prepared = postgres.begin(1), fast = postgres.begin(2);
    postgres.send(prepared);
    postgres.send(fast);
    postgres.commit(fast);
    postgres.prepare(prepared);
    gateway.cycle();
    gateway.cycle();
    postgres.become_visible(prepared);
    const auto effect = postgres.begin(2);
    postgres.send(effect);
    postgres.commit(effect);
    gateway.cycle();
    EXPECT_EQ(gateway.dispatched(), Ids({2, 1, 3}));
    postgres.release(prepared);
    expect_all_well();
}

TEST_F(LedgerTest, GapsOfTwoGenerationsAreDispatchedInTheOrderOfTheirIds) {
    const auto first = postgres.begin(1), second = postgres.begin(2);
    const auto send_another = [&] {
        const auto other = postgres.begin(3);
        postgres.send(other);
        postgres.commit(other);
        gateway.cycle();
    };
    postgres.send(first); // 1
    send_another();       // 2
    postgres.lock(second);
    const auto cause = postgres.begin(4);
    postgres.send(cause); // 3, noted with first, second and cause
    send_another();       // 4
    postgres.rollback(second);
    gateway.cycle();
    postgres.commit(cause);
    const auto effect = postgres.begin(5);
    postgres.send(effect); // 5
    postgres.send(first);  // 6
    const auto last = postgres.begin(3);
    postgres.send(last); // 7
    postgres.commit(last);
    postgres.commit(first);
    postgres.commit(effect);
    gateway.cycle();
    EXPECT_EQ(gateway.dispatched(), Ids({2, 4, 1, 3, 5, 6, 7}));
    expect_all_well();
}

// One transaction has gaps in two generations, and ends when the cycle has found that it holds the lock.
TEST_F(LedgerTest, TwoGenerationsOfOneTransactionThatEndsBetweenHoldersAndProbe) {
    const auto writer = postgres.begin(1), other = postgres.begin(2);
    const auto send_another = [&] {
        const auto another = postgres.begin(3);
        postgres.send(another);
        postgres.commit(another);
        gateway.cycle();
        gateway.cycle();
    };
    postgres.send(writer); // 1
    send_another();        // 2
    postgres.lock(other);
    postgres.send(writer); // 3: waits for `other`, too
    send_another();        // 4
    postgres.rollback(other);
    gateway.step(); // read
    gateway.step(); // holders: of 3 one has gone, of 1 none
    postgres.commit(writer);
    gateway.cycle();
    expect_all_well();
    EXPECT_EQ(gateway.dispatched(), Ids({2, 4, 1, 3}));
}

// The gaps of one transaction are probed in several statements, and it ends between two of them.
TEST_F(LedgerTest, OneTransactionThatEndsBetweenTwoProbes) {
    SimulatedGateway narrow(postgres, {.probe_ranges = 1});
    const auto writer = postgres.begin(1), other = postgres.begin(2), fast = postgres.begin(3);
    postgres.lock(other);
    for (int i = 0; i < 3; ++i) {
        postgres.send(writer); // 1, 3, 5
        postgres.send(fast);
    }
    postgres.commit(fast);
    narrow.cycle();
    narrow.cycle();
    postgres.rollback(other);
    narrow.step(); // read
    narrow.step(); // holders
    narrow.step(); // probe: 1 is not there
    postgres.commit(writer);
    narrow.cycle();
    narrow.cycle();
    narrow.cycle();
    EXPECT_EQ(narrow.dispatched(), Ids({2, 4, 6, 1, 3, 5}));
    EXPECT_EQ(complaint(postgres, narrow), "");
}

TEST_F(LedgerTest, GapsWithTheSameHoldersAreOneGeneration) {
    const auto holder = postgres.begin(1);
    postgres.send(holder);
    for (int i = 0; i < 100; ++i) {
        const auto failing = postgres.begin(2), other = postgres.begin(3);
        postgres.send(failing);
        postgres.send(other);
        postgres.commit(other);
        gateway.cycle();
        postgres.rollback(failing);
        gateway.cycle();
    }
    gateway.cycle();
    EXPECT_EQ(gateway.ledger().stats().generations, 1u);
    EXPECT_EQ(gateway.ledger().stats().gaps, 101u);
    postgres.commit(holder);
    expect_all_well();
}

TEST_F(LedgerTest, GapsDieAlthoughTheLockIsNeverFree) {
    std::deque<SimulatedPostgres::Transaction> open;
    for (int i = 0; i < 100; ++i) {
        open.push_back(postgres.begin(1 + i % 4));
        postgres.send(open.back());
        const auto other = postgres.begin(5);
        postgres.send(other);
        postgres.commit(other);
        gateway.cycle();
        EXPECT_LE(gateway.ledger().gaps().size(), 6u) << "each waits only for who was there with it";
        if (open.size() > 2) {
            postgres.rollback(open.front());
            open.pop_front();
        }
    }
    for (const auto transaction : open)
        postgres.commit(transaction);
    expect_all_well();
}

TEST_F(LedgerTest, ManyDifferentHoldersAreABoundedNumberOfGenerations) {
    std::vector<SimulatedPostgres::Transaction> holders;
    for (int i = 0; i < 200; ++i) {
        holders.push_back(postgres.begin(1));
        postgres.send(holders.back());
        const auto other = postgres.begin(2);
        postgres.send(other);
        postgres.commit(other);
        gateway.cycle();
        EXPECT_LE(gateway.ledger().stats().generations, 64u);
    }
    for (size_t i = 0; i < holders.size(); ++i) {
        postgres.commit(holders[(i * 37) % holders.size()]);
        gateway.cycle();
    }
    expect_all_well();
}

TEST_F(LedgerTest, SurplusGenerationsAreStillProbed) {
    std::vector<SimulatedPostgres::Transaction> holders;
    for (int i = 0; i < 100; ++i) {
        holders.push_back(postgres.begin(1));
        postgres.send(holders.back());
        const auto other = postgres.begin(2);
        postgres.send(other);
        postgres.commit(other);
        gateway.cycle();
    }
    const auto writer = postgres.begin(3), other = postgres.begin(2);
    const Id id = postgres.send(writer);
    postgres.send(other);
    postgres.commit(other);
    gateway.read_only();
    postgres.commit(writer);
    gateway.cycle();
    gateway.cycle();
    EXPECT_EQ(gateway.dispatched().back(), id);
    for (const auto holder : holders)
        postgres.rollback(holder);
    expect_all_well();
}

TEST_F(LedgerTest, NothingIsAskedWhileThereAreNoGaps) {
    for (int i = 0; i < 10; ++i) {
        const auto writer = postgres.begin(1);
        postgres.send(writer);
        postgres.commit(writer);
        gateway.cycle();
    }
    EXPECT_EQ(gateway.statements(), 10u);
    EXPECT_EQ(gateway.probed_ranges(), 0u);
}

TEST_F(LedgerTest, AGapIsNotProbedWhileItsHoldersStay) {
    const auto slow = postgres.begin(1), fast = postgres.begin(2);
    postgres.send(slow);
    postgres.send(fast);
    postgres.commit(fast);
    gateway.cycle();
    gateway.cycle(); // it could have been committed between read and holders
    const uint64_t before = gateway.probed_ranges();
    for (int i = 0; i < 10; ++i)
        gateway.cycle();
    EXPECT_EQ(gateway.probed_ranges(), before);
    EXPECT_FALSE(gateway.ledger().is_due());
    postgres.commit(slow);
    expect_all_well();
}

TEST(Ledger, BeginsWithTheGapsThatItIsGiven) {
    Ledger ledger;
    IdSet gaps;
    gaps.add({3, 5});
    ledger.start(10, gaps);
    EXPECT_TRUE(ledger.is_gap(4));
    EXPECT_TRUE(ledger.is_decided(6));
    EXPECT_FALSE(ledger.is_decided(11));
    ledger.saw({});
    ledger.hold({});
    const auto ranges = ledger.due(10);
    ASSERT_EQ(ranges, (std::vector<IdRange>{{3, 5}}));
    ledger.probed(ranges, std::array<Id, 1>{4});
    EXPECT_TRUE(ledger.due(10).empty());
    EXPECT_TRUE(ledger.is_gap(3)) << "who drew it may have ended after the snapshot";
    ledger.saw({});
    ledger.hold({});
    const auto left = ledger.due(10);
    ASSERT_EQ(left, (std::vector<IdRange>{{3, 3}, {5, 5}}));
    ledger.probed(left, {});
    EXPECT_TRUE(ledger.due(10).empty());
    EXPECT_FALSE(ledger.has_gaps());
    EXPECT_EQ(ledger.stats().filled, 1u);
    EXPECT_EQ(ledger.stats().died, 2u);
}

TEST(Ledger, IsLoweredWhenTheSequenceHandsIdsOutAgain) {
    Ledger ledger;
    ledger.start(0, {});
    ledger.saw(std::array<Id, 3>{2, 5, 9});
    ledger.lower(5);
    EXPECT_EQ(ledger.max_seen(), 5);
    EXPECT_FALSE(ledger.is_gap(7));
    EXPECT_TRUE(ledger.is_gap(3));
    EXPECT_FALSE(ledger.is_decided(7));
    ledger.saw(std::array<Id, 1>{7});
    EXPECT_TRUE(ledger.is_gap(6));
}

TEST(Ledger, ReadsHoldersAsPostgresNamesThem) {
    EXPECT_EQ(parse_holder("3/127"), uint64_t{3} << 32 | 127);
    EXPECT_EQ(parse_holder("-1/4711"), uint64_t{UINT32_MAX} << 32 | 4711);
    EXPECT_EQ(parse_holder("3/4294967295"), uint64_t{3} << 32 | UINT32_MAX);
    for (const char* odd : {"", "3", "3/", "/3", "3/4/5", "3/4294967296", "a/b", "3/-4"})
        EXPECT_EQ(parse_holder(odd), parse_holder(odd)) << odd;
    EXPECT_NE(parse_holder("new form 1"), parse_holder("new form 2"));
}

} // namespace
} // namespace odoo_bus
