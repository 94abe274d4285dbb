// What gives way when the memory of the process is at its ceiling.
#include "server/memory_ceiling.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/process_memory.h"

using namespace odoo_bus;
using namespace std::chrono_literals;

namespace {

constexpr uint64_t MB = 1'000'000;

// The memory is this process's own, and what is held is only said.
class MemoryCeilingTest : public testing::Test {
protected:
    MemoryAccounts accounts;
    int sheds = 0, releases = 0;
    uint64_t trimmed = 0;
    MemoryCeiling ceiling{0,
                          accounts,
                          {.shed = [this] { ++sheds; },
                           .trim_history = [this](uint64_t bytes) { trimmed += bytes; },
                           .release_history = [this] { ++releases; }}};
    // More than what other tests have left to the allocator, which may be returned at any time.
    const std::string ballast = std::string(200 * MB, 'x');
    const uint64_t used = proportional_memory();
    const std::shared_ptr<MemoryAccount> one = accounts.of(Address::parse("192.0.2.1")),
                                         other = accounts.of(Address::parse("192.0.2.2"));
    Monotonic now = MonotonicClock::now();
};

TEST_F(MemoryCeilingTest, KnowsTheMemoryOfTheProcess) {
    EXPECT_GT(used, MB);
    EXPECT_LE(used, resident_memory() + 10 * MB);
    const std::string more(50 * MB, 'x');
    EXPECT_GT(resident_memory(), used + 40 * MB);
    EXPECT_GT(proportional_memory(), used + 40 * MB);
}

TEST_F(MemoryCeilingTest, WithoutACeilingNothingIsBounded) {
    ceiling.check(now);
    EXPECT_EQ(accounts.budget(), UINT64_MAX);
    EXPECT_FALSE(ceiling.is_full());
}

TEST_F(MemoryCeilingTest, FarBelowItTheBudgetIsWhatIsFree) {
    const MemoryCharge held(one, 5 * MB);
    ceiling.configure(4 * used);
    ceiling.check(now);
    EXPECT_GT(accounts.budget(), 5 * MB + used);
    EXPECT_LT(accounts.budget(), 5 * MB + 3 * used);
    EXPECT_EQ(sheds, 0);
    EXPECT_EQ(trimmed, 0u);
}

TEST_F(MemoryCeilingTest, AboveItThoseThatHoldTheMostGiveWay) {
    const MemoryCharge most(one, 8 * used), little(other, MB);
    ceiling.configure(used / 2);
    ceiling.check(now);
    EXPECT_EQ(sheds, 1);
    EXPECT_TRUE(most.exceeds());
    EXPECT_FALSE(little.exceeds());
    EXPECT_FALSE(ceiling.is_full()) << "somebody new is admitted";
    ceiling.check(now + 100ms);
    EXPECT_EQ(sheds, 1) << "what was ended takes a moment to be free";
    EXPECT_EQ(accounts.budget(), 8 * used + MB) << "nothing more is held";
}

TEST_F(MemoryCeilingTest, WhatIsEndedLeavesNoRoomBeforeTheNextLook) {
    const auto refill = [&](MemoryCharge& most) {
        const size_t before = most.bytes();
        most.set(MB);
        EXPECT_TRUE(most.may_add(used / 8));
        EXPECT_FALSE(most.may_add(before - 2 * MB)) << "freed memory is not returned yet";
        most.set(before);
    };
    MemoryCharge most(one, 8 * used);
    ceiling.configure(used / 2);
    ceiling.check(now);
    EXPECT_TRUE(most.exceeds());
    refill(most);

    accounts.set_budget(7 * used);
    ceiling.budget_is_exceeded(now);
    refill(most);
    EXPECT_EQ(sheds, 2);
    ceiling.check(now + 100ms);
    EXPECT_EQ(accounts.budget(), 8 * used) << "of what is still held";
}

TEST_F(MemoryCeilingTest, WhenClientsHoldLittleHistoriesGiveWay) {
    const MemoryCharge little(one, used / 10);
    ceiling.configure(used / 2);
    ceiling.check(now);
    EXPECT_EQ(sheds, 0);
    EXPECT_GT(trimmed, used / 4);
    EXPECT_TRUE(ceiling.is_full());
    ceiling.configure(8 * used);
    ceiling.check(now + 2s);
    EXPECT_EQ(releases, 1);
    EXPECT_FALSE(ceiling.is_full());
    ceiling.check(now + 4s);
    EXPECT_EQ(releases, 1);
}

TEST_F(MemoryCeilingTest, WhenAllAreOrdinaryNobodyNewIsAdmitted) {
    std::vector<MemoryCharge> charges;
    for (int i = 0; i < 255; ++i)
        charges.emplace_back(accounts.of(Address::parse("192.0.3." + std::to_string(i))),
                             MemoryAccounts::ORDINARY);
    accounts.set_budget(5 * MB);
    ceiling.configure(1);
    ceiling.budget_is_exceeded(now);
    EXPECT_EQ(sheds, 0);
    EXPECT_TRUE(ceiling.is_full());
    charges.front().set(MB);
    ceiling.budget_is_exceeded(now);
    EXPECT_EQ(sheds, 1);
    EXPECT_FALSE(ceiling.is_full());
}

} // namespace
