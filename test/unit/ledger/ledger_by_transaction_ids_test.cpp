// The ledger where locks cannot be seen, and gaps are decided by transaction ids. ledger_simulation_test.cpp
// has the schedules.
#include "ledger/ledger.h"

#include <gtest/gtest.h>

#include "simulated_gateway.h"
#include "simulated_postgres.h"

namespace odoo_bus {
namespace {

using Ids = std::vector<Id>;

class LedgerByTransactionIdsTest : public testing::Test {
protected:
    using By = SimulatedGateway::By;

    SimulatedPostgres postgres;
    SimulatedGateway gateway{postgres, {}, {}, By::TRANSACTION_IDS};
};

TEST_F(LedgerByTransactionIdsTest, AGapWaitsForWhoDrewItUntilItHasWritten) {
    const auto slow = postgres.begin(1), fast = postgres.begin(2);
    postgres.lock(slow);
    postgres.draw(slow);
    postgres.send(fast);
    postgres.commit(fast);
    for (int i = 0; i < 5; ++i)
        gateway.cycle();
    EXPECT_TRUE(gateway.ledger().is_gap(1));
    postgres.insert(slow);
    for (int i = 0; i < 5; ++i)
        gateway.cycle();
    EXPECT_TRUE(gateway.ledger().is_gap(1)) << "now its transaction is known, and in progress";
    postgres.commit(slow);
    gateway.cycle();
    EXPECT_EQ(gateway.dispatched(), Ids({2, 1}));
    EXPECT_EQ(complaint(postgres, gateway), "");
}

TEST_F(LedgerByTransactionIdsTest, WhatIsCommittedBeforeItIsRipeIsDispatchedAtOnce) {
    const auto slow = postgres.begin(1), fast = postgres.begin(2), idle = postgres.begin(3);
    postgres.send(slow);
    postgres.draw(idle); // nothing is ripe
    postgres.send(fast);
    postgres.commit(fast);
    gateway.cycle();
    postgres.commit(slow);
    gateway.cycle();
    EXPECT_EQ(gateway.dispatched(), Ids({3, 1}));
}

TEST_F(LedgerByTransactionIdsTest, AGapOfARollbackDiesWithTheTransactionsThatWroteMeanwhile) {
    const auto failing = postgres.begin(1), other = postgres.begin(2), unrelated = postgres.begin(3);
    postgres.send(failing);
    postgres.write(unrelated);
    postgres.send(other);
    postgres.commit(other);
    postgres.rollback(failing);
    for (int i = 0; i < 5; ++i)
        gateway.cycle();
    EXPECT_TRUE(gateway.ledger().is_gap(1)) << "the unrelated one could be its own";
    postgres.commit(unrelated);
    gateway.cycle();
    gateway.cycle();
    EXPECT_FALSE(gateway.ledger().has_gaps());
}

// The error that docs/managed.md states.
TEST(LedgerByTransactionIds, AnInsertThatTakesLongerThanTheBoundIsLost) {
    SimulatedPostgres postgres;
    SimulatedGateway gateway(postgres, {}, {}, SimulatedGateway::By::TRANSACTION_IDS_EARLY);
    const auto slow = postgres.begin(1), fast = postgres.begin(2);
    postgres.lock(slow);
    postgres.draw(slow);
    postgres.send(fast);
    postgres.commit(fast);
    for (int i = 0; i < 3; ++i)
        gateway.cycle();
    postgres.insert(slow);
    postgres.commit(slow);
    gateway.cycle();
    EXPECT_EQ(complaint(postgres, gateway), "1 was lost");
}

} // namespace
} // namespace odoo_bus
