// Metrics: what is counted by several threads, and the text that Prometheus reads.
#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "metrics/metrics.h"

using namespace odoo_bus;

namespace {

const metrics::Counter counted("test_counted_total", "Counts.");
const metrics::Counter ok("test_requests_total", "Requests by result.", {{"result", "ok"}});
const metrics::Counter failed("test_requests_total", "Requests by result.", {{"result", "failed"}});
const metrics::Gauge level("test_level", "Goes up and down.");
constexpr int64_t BOUNDS[] = {100, 1000};
const metrics::Histogram took("test_took_seconds", "How long.", BOUNDS);
const metrics::Family named("test_named", "A \\ and\na line.", metrics::Type::gauge, {"database"});
const metrics::Family many("test_many", "Too many.", metrics::Type::gauge, {"x"});

bool has(const std::string& line) {
    return ("\n" + metrics::text()).find("\n" + line + "\n") != std::string::npos;
}

TEST(Metrics, EveryThreadsCountsAreAddedUpAlsoWhenItHasEnded) {
    for (int round = 0; round < 3; ++round) {
        std::vector<std::thread> threads;
        for (int i = 0; i < 8; ++i)
            threads.emplace_back([] {
                for (int n = 0; n < 10'000; ++n) {
                    counted.add();
                    level.add(2);
                    level.subtract();
                }
            });
        for (std::thread& thread : threads)
            thread.join();
    }
    EXPECT_EQ(counted.value(), 240'000u);
    EXPECT_EQ(level.value(), 240'000);
    // What one thread has added another takes away.
    std::thread([] { level.subtract(240'001); }).join();
    EXPECT_TRUE(has("test_level -1"));
    EXPECT_TRUE(has("test_counted_total 240000"));
}

TEST(Metrics, SeriesOfOneNameAreOneFamily) {
    ok.add(2);
    failed.add();
    EXPECT_TRUE(has("# HELP test_requests_total Requests by result.\n# TYPE test_requests_total counter\n"
                    "test_requests_total{result=\"ok\"} 2\ntest_requests_total{result=\"failed\"} 1"));
}

TEST(Metrics, AHistogramsBucketsAreCumulativeAndInSeconds) {
    for (const int64_t us : {-5, 100, 101, 1000, 1001, 5'000'000})
        took.observe_us(us);
    EXPECT_TRUE(has("# TYPE test_took_seconds histogram\ntest_took_seconds_bucket{le=\"0.0001\"} 2\n"
                    "test_took_seconds_bucket{le=\"0.001\"} 4\ntest_took_seconds_bucket{le=\"+Inf\"} 6\n"
                    "test_took_seconds_sum 5.002202\ntest_took_seconds_count 6"));
}

TEST(Metrics, ForeignTextIsEscaped) {
    named.with({"a\"b\\c\nd"}).set(2.5);
    named.with({"a\"b\\c\nd"}).add(-1);
    EXPECT_TRUE(has("# HELP test_named A \\\\ and\\na line.\n# TYPE test_named gauge\n"
                    "test_named{database=\"a\\\"b\\\\c\\nd\"} 1.5"));
}

TEST(Metrics, LabelValuesAreBounded) {
    for (int i = 0; i < 5000; ++i)
        many.with({std::to_string(i)}).add();
    EXPECT_TRUE(has("test_many{x=\"other\"} 4000"));
}

TEST(Metrics, TheManualNamesEachWithItsLabels) {
    EXPECT_NE(
        metrics::markdown().find("| `test_requests_total` | counter | `result` | Requests by result. |\n"),
        std::string::npos);
}

} // namespace
