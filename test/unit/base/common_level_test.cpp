// Amounts that are lowered to one level.
#include "base/common_level.h"

#include <algorithm>
#include <numeric>
#include <random>

#include <gtest/gtest.h>

#include "seed.h"

using namespace odoo_bus;

namespace {

uint64_t sum_below(const std::vector<uint64_t>& amounts, uint64_t level) {
    return std::accumulate(amounts.begin(), amounts.end(), uint64_t{0},
                           [level](uint64_t sum, uint64_t amount) { return sum + std::min(amount, level); });
}

TEST(CommonLevel, TheGreatestAreLowered) {
    EXPECT_EQ(common_level({100, 10, 20}, 30), 70u);
    EXPECT_EQ(common_level({100, 90, 20}, 30), 80u);
    EXPECT_EQ(common_level({50, 50, 50}, 30), 40u);
    EXPECT_EQ(common_level({50, 50, 50}, 0), UINT64_MAX);
    EXPECT_EQ(common_level({50, 50}, 100), 0u);
    EXPECT_EQ(common_level({50, 50}, 1000), 0u);
    EXPECT_EQ(common_level({}, 1), 0u);
}

TEST(CommonLevel, IsTheGreatestAtWhichEnoughIsFree) {
    std::mt19937_64 random(test_seed());
    for (int i = 0; i < 2'000; ++i) {
        std::vector<uint64_t> amounts(random() % 20);
        for (uint64_t& amount : amounts)
            amount = random() % 1'000;
        const uint64_t sum = sum_below(amounts, UINT64_MAX), less = 1 + random() % (sum + 10);
        const uint64_t level = common_level(amounts, less);
        if (less >= sum) {
            EXPECT_EQ(level, 0u);
            continue;
        }
        EXPECT_LE(sum_below(amounts, level), sum - less);
        EXPECT_GT(sum_below(amounts, level + 1), sum - less);
    }
}

} // namespace
