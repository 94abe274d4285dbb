// Token buckets: rate and burst.
#include "base/token_bucket.h"

#include <gtest/gtest.h>

namespace odoo_bus {
namespace {

using namespace std::chrono_literals;

int take_all(TokenBucket& bucket, uint64_t rate, Monotonic now) {
    int taken = 0;
    while (bucket.take(rate, now))
        ++taken;
    return taken;
}

} // namespace

TEST(TokenBucket, ABurstAndThenTheRate) {
    TokenBucket bucket;
    Monotonic now(1000s);
    EXPECT_EQ(take_all(bucket, 10, now), 51) << "5 seconds' and this one";
    EXPECT_FALSE(bucket.is_full(now));
    now += 1s;
    EXPECT_EQ(take_all(bucket, 10, now), 10);
    now += 99ms;
    EXPECT_FALSE(bucket.take(10, now));
    now += 1ms;
    EXPECT_TRUE(bucket.take(10, now));
    now += 10s;
    EXPECT_TRUE(bucket.is_full(now));
    EXPECT_EQ(take_all(bucket, 10, now), 51) << "no more than the burst comes back";
}

TEST(TokenBucket, ZeroIsAnyNumber) {
    TokenBucket bucket;
    for (int i = 0; i < 10'000; ++i)
        EXPECT_TRUE(bucket.take(0, Monotonic()));
}

TEST(TokenBucket, ARateAboveAMillion) {
    TokenBucket bucket;
    EXPECT_TRUE(bucket.take(5'000'000, Monotonic(1s)));
}

} // namespace odoo_bus
