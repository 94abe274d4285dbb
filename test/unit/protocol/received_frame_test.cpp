// Reading frames for the command line: exact slices, time stamps.
#include "protocol/received_frame.h"

#include <string_view>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/json_slice.h"

namespace odoo_bus {
namespace {

using testing::IsEmpty;
using Elements = std::vector<std::string_view>;

TEST(JsonSlice, Elements) {
    EXPECT_EQ(json_elements(R"( [ 1 , "a,]\"" ,[2, [3]],{"k":[4]} ,null,-1.50e+2 ] )"),
              (Elements{"1", R"("a,]\"")", "[2, [3]]", R"({"k":[4]})", "null", "-1.50e+2"}));
    EXPECT_THAT(json_elements("[]"), IsEmpty());
    EXPECT_THAT(json_elements(" [ ] "), IsEmpty());
    EXPECT_EQ(json_elements("[true]"), Elements{"true"});
    EXPECT_THAT(json_elements("{}"), IsEmpty());
}

TEST(JsonSlice, Members) {
    const std::string_view object = R"({ "a" : 1.50,"b":{"a":2}, "c" : "}" , "d":[ "a" ],"c":null})";
    EXPECT_EQ(json_member(object, "a"), "1.50");
    EXPECT_EQ(json_member(object, "b"), R"({"a":2})");
    EXPECT_EQ(json_member(object, "c"), "null");
    EXPECT_EQ(json_member(object, "d"), R"([ "a" ])");
    EXPECT_EQ(json_member(object, "e"), std::nullopt);
    EXPECT_EQ(json_member("{}", "a"), std::nullopt);
    EXPECT_EQ(json_member("[1]", "a"), std::nullopt);
}

TEST(ReceivedFrame, ElementsAsTheyStand) {
    const std::string frame =
        R"([{"id":10,"message":{"type":"t","payload":{"n":1.50,"s":"\ud83d"}}},)"
        R"( {"id": 11, "message": {"payload": 99999999999999999999, "type": "caf\u00e9"}},)"
        R"({"type":"bus/subscription_outdated","internal":true,"payload":null}, 5])";
    const auto elements = read_frame(frame);
    ASSERT_TRUE(elements);
    ASSERT_EQ(elements->size(), 4u);
    EXPECT_EQ((*elements)[0].text, R"({"id":10,"message":{"type":"t","payload":{"n":1.50,"s":"\ud83d"}}})");
    EXPECT_EQ((*elements)[0].payload, R"({"n":1.50,"s":"\ud83d"})");
    EXPECT_EQ((*elements)[0].type, "t");
    EXPECT_EQ((*elements)[0].id, 10);
    EXPECT_EQ((*elements)[0].sent_us, std::nullopt);
    EXPECT_EQ((*elements)[1].payload, "99999999999999999999");
    EXPECT_EQ((*elements)[1].type, "café");
    EXPECT_EQ((*elements)[2].id, std::nullopt);
    EXPECT_EQ((*elements)[2].type, "bus/subscription_outdated");
    EXPECT_EQ((*elements)[2].payload, "null");
    EXPECT_EQ((*elements)[3].text, "5");
    EXPECT_EQ((*elements)[3].payload, "");
    for (const char* bad : {"", "{}", "[", "[1]]", "null", "[1,]"})
        EXPECT_FALSE(read_frame(bad)) << bad;
}

std::optional<int64_t> sent_us(const std::string& sent_at) {
    const std::string frame = R"([{"id":1,"message":{"type":"t","payload":{"sent_at":)" + sent_at + "}}}]";
    return read_frame(frame)->front().sent_us;
}

TEST(ReceivedFrame, SentAt) {
    EXPECT_EQ(sent_us("1795474148.25"), 1795474148250000);
    EXPECT_EQ(sent_us("1795474148"), 1795474148000000);
    EXPECT_EQ(sent_us(R"("2026-11-23T22:49:08.25Z")"), 1795474148250000);
    EXPECT_EQ(sent_us("null"), std::nullopt);
    EXPECT_EQ(sent_us("1e300"), std::nullopt);
    EXPECT_EQ(sent_us(R"("yesterday")"), std::nullopt);
}

TEST(ReceivedFrame, IsoTimes) {
    const int64_t time = 1795474148000000;
    EXPECT_EQ(parse_iso_time("2026-11-23T22:49:08Z"), time);
    EXPECT_EQ(parse_iso_time("2026-11-23 22:49:08"), time);
    EXPECT_EQ(parse_iso_time("2026-11-23T22:49:08.123456+00:00"), time + 123456);
    EXPECT_EQ(parse_iso_time("2026-11-23T22:49:08.123456789Z"), time + 123456);
    EXPECT_EQ(parse_iso_time("2026-11-23T23:49:08.5+01:00"), time + 500000);
    EXPECT_EQ(parse_iso_time("2026-11-23T20:19:08-0230"), time);
    EXPECT_EQ(parse_iso_time("2026-11-24T00:49:08+02"), time);
    for (const char* bad :
         {"", "2026-11-23", "2026-11-23T22:49", "2026-11-23T22:49:08x", "2026-11-23T22:49:08+1",
          "26-11-23T22:49:08", "2026-11-23T-2:49:08", "2026-11-23T22:49:08Zx"})
        EXPECT_EQ(parse_iso_time(bad), std::nullopt) << bad;
}

} // namespace
} // namespace odoo_bus
