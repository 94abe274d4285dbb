// What peers make the process hold: by address, within a budget.
#include "http/memory_account.h"

#include <ranges>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

using namespace odoo_bus;

namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr size_t MB = 1'000'000;

class MemoryAccountTest : public testing::Test {
protected:
    int exceeded = 0;
    MemoryAccounts accounts{[this] { ++exceeded; }};

    std::shared_ptr<MemoryAccount> of(const char* address) { return accounts.of(Address::parse(address)); }
    static std::vector<std::string> names(const std::vector<MemoryAccounts::Largest>& largest) {
        std::vector<std::string> names;
        for (const auto& each : largest)
            names.push_back(each.account->name());
        return names;
    }
};

TEST_F(MemoryAccountTest, ChargesAreCountedByAddressUntilTheyEnd) {
    {
        MemoryCharge first(of("192.0.2.1"), 100), second(of("192.0.2.1"), 50), other(of("192.0.2.2"), 7);
        EXPECT_EQ(of("192.0.2.1")->held(), 150u);
        EXPECT_EQ(accounts.held(), 157u);
        first.set(20);
        EXPECT_EQ(of("192.0.2.1")->held(), 70u);
        first.set(20);
        EXPECT_EQ(accounts.held(), 77u);
        MemoryCharge moved = std::move(first);
        EXPECT_EQ(accounts.held(), 77u) << "with what it stands for";
        second = std::move(moved);
        EXPECT_EQ(of("192.0.2.1")->held(), 20u) << "what it replaces has ended";
        second.move_to(of("192.0.2.2"));
        EXPECT_EQ(of("192.0.2.1")->held(), 0u);
        EXPECT_EQ(of("192.0.2.2")->held(), 27u);
    }
    EXPECT_EQ(accounts.held(), 0u);
    EXPECT_EQ(of("192.0.2.2")->held(), 0u);
}

// Each thread ends what it keeps, at its own pace.
TEST_F(MemoryAccountTest, TheLargeOnesOfAnAccountGiveWayFirst) {
    accounts.set_budget(10 * MB);
    std::vector<MemoryCharge> large;
    for (int i = 0; i < 10; ++i)
        large.emplace_back(of("192.0.2.1"), 3 * MB);
    std::vector<MemoryCharge> little;
    for (int i = 0; i < 100; ++i)
        little.emplace_back(of("192.0.2.1"), 20'000);
    EXPECT_FALSE(large[0].gives_way()) << "while nothing has to";
    accounts.lower(32 * MB);
    for (MemoryCharge& each : large) {
        EXPECT_TRUE(each.gives_way());
        EXPECT_FALSE(little[0].gives_way()) << "another thread will end the large ones";
        each.set(0);
    }
    EXPECT_TRUE(little[0].gives_way()) << "the largest that is left";
}

TEST_F(MemoryAccountTest, SomethingGivesWayAsLongAsAnAccountExceeds) {
    for (const size_t first : {size_t{1}, size_t{1023}, size_t{1025}, 5 * MB}) {
        std::vector<MemoryCharge> charges;
        for (size_t i = 0; i < 200; ++i)
            charges.emplace_back(of("192.0.2.1"), first + i * i);
        accounts.set_budget(1000);
        accounts.lower(charges.size() * 6 * MB);
        for (MemoryCharge& each : charges | std::views::reverse) {
            if (!each.exceeds())
                break;
            EXPECT_TRUE(each.gives_way()) << each.bytes();
            each.set(0);
        }
        EXPECT_LE(of("192.0.2.1")->held(), MemoryAccounts::ORDINARY);
    }
}

TEST_F(MemoryAccountTest, AnIpv6NetworkOfOneCustomerIsOne) {
    const MemoryCharge one(of("2001:db8:0:1::1"), 10), two(of("2001:db8:0:1:ffff::2"), 10);
    EXPECT_EQ(of("2001:db8:0:1::3")->held(), 20u);
    EXPECT_EQ(of("2001:db8:0:2::1")->held(), 0u);
}

TEST_F(MemoryAccountTest, ThoseWhomAProxyDoesNotNameAreOne) {
    const MemoryCharge one(accounts.of(std::nullopt), 10), two(accounts.of(std::nullopt), 10);
    EXPECT_EQ(accounts.of(std::nullopt)->held(), 20u);
    EXPECT_EQ(accounts.of(std::nullopt)->name(), "");
    EXPECT_EQ(of("::")->held(), 0u);
}

TEST_F(MemoryAccountTest, ThoseWhomAProxyDoesNotNameKeepHalfOfTheBudget) {
    accounts.set_budget(10 * MB);
    MemoryCharge unnamed(accounts.of(std::nullopt), 6 * MB);
    const MemoryCharge named(of("192.0.2.1"), 3 * MB);
    EXPECT_EQ(accounts.lower(8 * MB).size(), 2u);
    unnamed.set(5 * MB);
    EXPECT_FALSE(unnamed.exceeds());
    EXPECT_TRUE(named.exceeds());
}

TEST_F(MemoryAccountTest, WithoutAnAccountNothingIsCounted) {
    MemoryCharge charge;
    charge.set(100);
    EXPECT_TRUE(charge.may_add(SIZE_MAX / 2));
    EXPECT_FALSE(charge.exceeds());
    EXPECT_EQ(accounts.held(), 0u);
}

TEST_F(MemoryAccountTest, AccountsThatNothingIsChargedToAreForgotten) {
    MemoryCharge kept(of("192.0.2.1"), 1), ended(of("192.0.2.2"), 1);
    ended = {};
    accounts.tidy();
    EXPECT_EQ(accounts.size(), 1u);
    kept.set(0);
    accounts.tidy();
    EXPECT_EQ(accounts.size(), 1u) << "it may be charged again";
}

TEST_F(MemoryAccountTest, ThoseThatHoldTheMostAreLowered) {
    const MemoryCharge most(of("192.0.2.1"), 10 * MB), more(of("192.0.2.2"), 6 * MB),
        some(of("192.0.2.3"), MB);
    EXPECT_THAT(names(accounts.lower(2 * MB)), ElementsAre("192.0.2.1"));
    EXPECT_TRUE(most.exceeds());
    EXPECT_FALSE(more.exceeds());
    EXPECT_THAT(names(accounts.lower(6 * MB)), ElementsAre("192.0.2.1", "192.0.2.2"));
    EXPECT_TRUE(most.exceeds() && more.exceeds());
    EXPECT_FALSE(some.exceeds());
    EXPECT_THAT(accounts.lower(0), IsEmpty());
    EXPECT_FALSE(most.exceeds()) << "until the next time";
}

TEST_F(MemoryAccountTest, EndsWhenEnoughIsFree) {
    std::vector<MemoryCharge> charges;
    for (int i = 0; i < 10; ++i)
        charges.emplace_back(of("192.0.2.1"), MB);
    const MemoryCharge other(of("192.0.2.2"), 2 * MB);
    accounts.lower(3 * MB);
    while (charges.back().exceeds())
        charges.pop_back();
    EXPECT_EQ(charges.size(), 7u);
}

TEST_F(MemoryAccountTest, OrdinaryOnesAreLeftAlone) {
    std::vector<MemoryCharge> charges;
    for (int i = 1; i < 200; ++i)
        charges.emplace_back(of(("192.0.2." + std::to_string(i)).c_str()), MemoryAccounts::ORDINARY);
    EXPECT_THAT(accounts.lower(MB), IsEmpty());
    charges.front().set(MemoryAccounts::ORDINARY + 1);
    EXPECT_THAT(names(accounts.lower(MB)), ElementsAre("192.0.2.1"));
}

TEST_F(MemoryAccountTest, WithinTheBudgetAnAddressMayHoldMost) {
    accounts.set_budget(10 * MB);
    MemoryCharge most(of("192.0.2.1"), 9 * MB);
    const MemoryCharge other(of("192.0.2.2"), 1);
    EXPECT_TRUE(most.may_add(MB - 1));
    EXPECT_EQ(exceeded, 0);
    EXPECT_FALSE(most.may_add(MB));
    EXPECT_EQ(exceeded, 1) << "somebody has to give way";
    EXPECT_TRUE(other.may_add(MB + MB / 2)) << "less than an equal share, from the reserve";
    EXPECT_FALSE(other.may_add(2 * MB));
    MemoryCharge third(of("192.0.2.3"), 3 * MB);
    EXPECT_TRUE(other.may_add(MB / 3)) << "less than an eighth of a share, whatever others hold";
    EXPECT_FALSE(other.may_add(MB / 2));
    third.set(0);
    EXPECT_EQ(exceeded, 1) << "once";
    accounts.resume();
    most.set(10 * MB);
    EXPECT_EQ(exceeded, 2);
    accounts.resume();
    most.set(9 * MB);
    EXPECT_EQ(exceeded, 2);
}

TEST_F(MemoryAccountTest, AnyThreadMayCharge) {
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i)
        threads.emplace_back([one = of("192.0.2.1"), two = of("192.0.2.2")] {
            for (size_t n = 0; n < 10'000; ++n) {
                MemoryCharge charge(one, n);
                charge.set(n / 2);
                MemoryCharge moved = std::move(charge);
                moved.move_to(two);
            }
        });
    for (std::thread& thread : threads)
        thread.join();
    EXPECT_EQ(accounts.held(), 0u);
    EXPECT_EQ(of("192.0.2.1")->held() + of("192.0.2.2")->held(), 0u);
}

} // namespace
