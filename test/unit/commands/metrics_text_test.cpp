#include "commands/metrics_text.h"

#include <gtest/gtest.h>

#include "commands/status.h"

namespace odoo_bus {
namespace {

const char* const TEXT = R"(# HELP up what it is
up{database="a"} 1
up{database="b \"quoted\", \\ and \n",part="x"} 0
plain 12
delay_seconds_bucket{le="0.001"} 5
delay_seconds_bucket{le="+Inf"} 10
)";

std::string dumped(const Json& json) {
    char* const text = json_dumps(json.get(), JSON_COMPACT | JSON_SORT_KEYS);
    std::string copy = text;
    free(text);
    return copy;
}

TEST(MetricsText, FindsSamples) {
    const MetricsText metrics(TEXT);
    EXPECT_EQ(metrics.sum("up"), 1);
    EXPECT_EQ(metrics.of("up", "database=\"a\""), 1);
    EXPECT_EQ(metrics.of("up", "database=\"c\""), 0);
    EXPECT_EQ(metrics.sum("plain"), 12);
    EXPECT_EQ(metrics.quantile("delay_seconds", 0.5), 0.001);
    EXPECT_TRUE(metrics.all("none").empty());
}

TEST(MetricsText, IsJson) {
    EXPECT_EQ(
        dumped(MetricsText(TEXT).json()),
        R"({"delay_seconds_bucket":[{"labels":{"le":"0.001"},"value":5.0},{"labels":{"le":"+Inf"},"value":10.0}],)"
        R"("plain":[{"labels":{},"value":12.0}],)"
        R"("up":[{"labels":{"database":"a"},"value":1.0},)"
        R"({"labels":{"database":"b \"quoted\", \\ and \n","part":"x"},"value":0.0}]})");
}

TEST(MetricsText, HasTheQuantileOfWhatWasObservedSince) {
    const MetricsText before(TEXT), now("delay_seconds_bucket{le=\"0.001\"} 5\n"
                                        "delay_seconds_bucket{le=\"0.01\"} 12\n"
                                        "delay_seconds_bucket{le=\"+Inf\"} 12\n");
    EXPECT_EQ(now.quantile("delay_seconds", 0.4), 0.001);
    EXPECT_EQ(now.quantile("delay_seconds", 0.4, &before), 0.01);
    EXPECT_EQ(before.quantile("delay_seconds", 0.4, &before), std::nullopt);
}

// What answers at --metrics-listen may be another program.
TEST(MetricsText, TakesAnyText) {
    for (const char* const text :
         {"", "\n\n", "{", "x{ 1", "x{a 1", "x{a=\"b 1", "x{a=\"b\\ 1", "x{=\"\"} nan", "x 1e999", " "})
        EXPECT_TRUE(MetricsText(text).json()) << text;
}

TEST(Status, IsReadyWithoutReasons) {
    EXPECT_NE(status_json("a 1\n", R"({"status":"ready","reasons":[]})").find("\"ready\": true"),
              std::string::npos);
    EXPECT_NE(status_json("a 1\n", R"({"status":"not ready","reasons":["x"]})").find("\"ready\": false"),
              std::string::npos);
    for (const char* const other : {"", "[]", "{}", "nonsense"})
        EXPECT_NE(status_json("", other).find("\"ready\": false"), std::string::npos) << other;
}

} // namespace
} // namespace odoo_bus
