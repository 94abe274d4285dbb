// Server frames: what a row becomes, and which rows are left out.
#include "protocol/frame.h"

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
    one.add(1, R"(["d","a"])", "{}");
    EXPECT_EQ(std::move(one).finish(), "[{}]");
    Frame three(16);
    three.add(1, "", "1");
    three.add(2, "", "2");
    three.add(3, "", "3");
    const std::string bytes = std::move(three).finish();
    EXPECT_EQ(bytes.size(), 16 + 7u);
    EXPECT_EQ(bytes.substr(16), "[1,2,3]");
}

TEST(Frame, InternalElements) {
    EXPECT_EQ(subscription_outdated_frame(),
              R"([{"type":"bus/subscription_outdated","internal":true,"payload":null}])");
    EXPECT_EQ(last_id_reset_frame(5921, {.reserve = 4}).substr(4),
              R"([{"type":"bus/last_id_reset","internal":true,"payload":5921}])");
    EXPECT_EQ(subscribed_frame({.confirm = 7, .last = 12, .refused = {"a\n\"é"}}),
              R"([{"type":"bus/subscribed","internal":true,"payload":{"confirm":7,"last":12,)"
              R"("refused":["a\n\"\u00E9"]}}])");
    EXPECT_EQ(subscribed_frame({.confirm = 7, .failed = true}),
              R"([{"type":"bus/subscribed","internal":true,"payload":{"confirm":7,"error":"refused"}}])");
    EXPECT_EQ(pong_frame(3), R"([{"type":"bus/pong","internal":true,"payload":{"last":3}}])");
    EXPECT_EQ(pong_frame(0, {.format = FrameFormat::events}),
              "event: internal\ndata: [{\"type\":\"bus/pong\",\"internal\":true,\"payload\":{}}]\n\n");
}

TEST(Frame, NamesTheChannelsOfThoseWhoAsk) {
    Frame frame(0, FrameFormat::named);
    frame.add(10, R"(["db","a"])", R"({"id":10,"message":{"type":"t","payload":[1,2]}})");
    frame.add(9, R"(["db","res.partner",3])", R"({"id":9,"message":{}})");
    EXPECT_EQ(std::move(frame).finish(),
              R"([{"id":10,"channel":["db","a"],"message":{"type":"t","payload":[1,2]}},)"
              R"({"id":9,"channel":["db","res.partner",3],"message":{}}])");
}

TEST(Frame, AnEventIsOneWhateverTheRowHolds) {
    Frame frame(2, FrameFormat::events);
    frame.add(10, R"(["db","a"])", "{\"id\":10,\"message\":{\r\n\"type\":\"t\",\n\"payload\":1}}");
    frame.add(9, R"(["db","a"])", R"({"id":9,"message":{"type":"\n","payload":1}})");
    EXPECT_EQ(
        std::move(frame).finish().substr(2),
        "data: [{\"id\":10,\"channel\":[\"db\",\"a\"],\"message\":{  \"type\":\"t\", \"payload\":1}},"
        "{\"id\":9,\"channel\":[\"db\",\"a\"],\"message\":{\"type\":\"\\n\",\"payload\":1}}]\nid: 9\n\n");
}

} // namespace
} // namespace odoo_bus
