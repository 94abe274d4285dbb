// Waiting times between tries: they grow, are bounded, and differ.
#include "base/backoff.h"

#include <set>

#include <gtest/gtest.h>

namespace odoo_bus {
namespace {

using namespace std::chrono_literals;

} // namespace

TEST(Backoff, GrowsToItsBoundAndBeginsAnewAfterASuccess) {
    Backoff backoff;
    for (int round = 0; round < 2; ++round) {
        for (const auto bound : {100ms, 200ms, 400ms, 800ms, 1600ms, 3200ms, 5000ms, 5000ms}) {
            const auto wait = backoff.next();
            EXPECT_GE(wait, bound / 2);
            EXPECT_LE(wait, bound);
        }
        backoff.reset();
    }
}

TEST(Backoff, TwoThatFailTogetherDoNotTryTogether) {
    std::set<std::chrono::milliseconds> waits;
    for (int i = 0; i < 100; ++i) {
        Backoff backoff;
        waits.insert(backoff.next(5000ms));
    }
    EXPECT_GT(waits.size(), 10u);
}

TEST(Backoff, ALeastBound) {
    Backoff backoff;
    const auto wait = backoff.next(1000ms);
    EXPECT_GE(wait, 500ms);
    EXPECT_LE(wait, 1000ms);
    EXPECT_GE(backoff.next(), 1000ms) << "it goes on from there";
}

} // namespace odoo_bus
