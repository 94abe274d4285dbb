// Server frames: what a row becomes, and which rows are left out.
#include "frame.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace odoo_bus {
namespace {

using testing::HasSubstr;

std::string refused(std::string_view message) {
    std::string error;
    EXPECT_EQ(make_element(1, message, error), std::nullopt) << message;
    return error;
}

void accepted(std::string_view message) {
    std::string error;
    const auto element = make_element(7, message, error);
    ASSERT_TRUE(element) << message << ": " << error;
    EXPECT_EQ(*element, R"({"id":7,"message":)" + std::string(message) + "}");
}

TEST(Frame, ElementKeepsTheMessageByteForByte) {
    accepted(R"({"type":"t","payload":{"n":1}})");
    accepted("{ \"payload\" : null ,\n\"type\":\"caf\xc3\xa9\", \"more\":[1.50] }");
    accepted(R"({"type":"t","payload":"\u0000"})");
    accepted(R"({"type":"t","payload":123456789012345678901234567890})");
    accepted(R"({"type":"t","payload":"half a pair: \ud83d, \uDE00, and \\ud83d"})");
    accepted(R"({"type":"t","payload":"a pair: \ud83d\ude00"})");
    accepted(R"({"type":"t","payload":)" + std::string(511, '[') + std::string(511, ']') + "}");
    accepted(R"({"type":"t","payload":")" + std::string(1 << 20, 'x') + "\"}");
    std::string error;
    EXPECT_EQ(make_element(INT64_MAX, R"({"type":1,"payload":2})", error),
              R"({"id":9223372036854775807,"message":{"type":1,"payload":2}})");
}

TEST(Frame, RowsThatWouldBreakAFrameAreLeftOut) {
    for (const char* message :
         {"", "x", "{", "{\"type\":\"t\",\"payload\":}", "{\"type\":\"t\",\"payload\":1}}",
          "{\"type\":\"t\",\"payload\":NaN}", "{\"type\":\"t\",\"payload\":\"\xff\"}",
          "{\"type\":\"t\",\"payload\":\"\\ud8\"}", "{\"type\":\"t\",\"payload\":1},{}"})
        EXPECT_THAT(refused(message), HasSubstr("not JSON")) << message;
    for (const char* message : {"[]", "[{\"type\":\"t\",\"payload\":1}]", "{}", "{\"type\":\"t\"}",
                                "{\"payload\":1}", "{\"Type\":\"t\",\"payload\":1}"})
        EXPECT_THAT(refused(message), HasSubstr("type and payload")) << message;
    EXPECT_THAT(refused("null"), HasSubstr("JSON"));
    EXPECT_THAT(refused(R"({"type":"t","payload":)" + std::string(512, '[') + std::string(512, ']') + "}"),
                HasSubstr("deeper"));
    EXPECT_THAT(refused(std::string(1'000'001, ',')), HasSubstr("more than 1000000 values"));
}

TEST(Frame, ErrorsHoldNothingOfTheRow) {
    EXPECT_THAT(refused("{\"secret\""), testing::Not(HasSubstr("secret")));
    EXPECT_THAT(refused("{\"secret\":1}"), testing::Not(HasSubstr("secret")));
}

TEST(Frame, IsAnArrayBehindTheReservedBytes) {
    Frame one;
    one.add("{}");
    EXPECT_EQ(one.size(), 4u);
    EXPECT_EQ(std::move(one).finish(), "[{}]");
    Frame three(16);
    three.add("1");
    three.add("2");
    three.add("3");
    EXPECT_EQ(three.size(), 7u);
    const std::string bytes = std::move(three).finish();
    EXPECT_EQ(bytes.size(), 16 + 7u);
    EXPECT_EQ(bytes.substr(16), "[1,2,3]");
}

TEST(Frame, InternalElements) {
    EXPECT_EQ(subscription_outdated_frame(),
              R"([{"type":"bus/subscription_outdated","internal":true,"payload":null}])");
    EXPECT_EQ(last_id_reset_frame(5921, 4).substr(4),
              R"([{"type":"bus/last_id_reset","internal":true,"payload":5921}])");
}

} // namespace
} // namespace odoo_bus
