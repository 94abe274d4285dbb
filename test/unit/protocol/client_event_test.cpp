// What WebSocket clients send: what is understood, and what is refused without harm.
#include "protocol/client_event.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace odoo_bus {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

ClientEvent parse(std::string_view text) {
    return parse_client_event(text, {});
}

Subscribe subscribe(std::string_view data) {
    return std::get<Subscribe>(parse(R"({"event_name":"subscribe","data":)" + std::string(data) + "}"));
}

UpdatePresence presence(std::string_view data) {
    return std::get<UpdatePresence>(
        parse(R"({"event_name":"update_presence","data":)" + std::string(data) + "}"));
}

std::string reason(std::string_view text, const ClientEventLimits& limits = {}) {
    const ClientEvent event = parse_client_event(text, limits);
    const auto* invalid = std::get_if<InvalidEvent>(&event);
    if (!invalid)
        return "valid";
    EXPECT_FALSE(invalid->not_utf8);
    return invalid->reason;
}

TEST(ClientEvent, SubscribeAsShippedPagesSendIt) {
    const Subscribe event = subscribe(R"({"channels":["a","caf\u00e9","[\"db\"]","a",""],"last":123})");
    EXPECT_THAT(event.channels, ElementsAre("a", "café", R"(["db"])", "a", ""));
    EXPECT_EQ(event.last, 123);
    EXPECT_TRUE(event.last_is_integer);
    EXPECT_EQ(event.check_outdated, std::nullopt);
    EXPECT_THAT(subscribe(R"({"channels":[],"last":0})").channels, IsEmpty());
}

TEST(ClientEvent, LastThatIsNotAnIntegerCountsAsZero) {
    for (const char* last : {"null", "true", "\"7\"", "7.0", "[7]", "{}", "1e3", "99999999999999999999",
                             "-99999999999999999999"}) {
        const Subscribe event =
            subscribe(R"({"channels":["a"],"last":)" + std::string(last) + R"(,"check_outdated":true})");
        EXPECT_EQ(event.last, 0) << last;
        EXPECT_FALSE(event.last_is_integer) << last;
        EXPECT_THAT(event.channels, ElementsAre("a")) << last;
        EXPECT_EQ(event.check_outdated, true) << last;
    }
    EXPECT_FALSE(subscribe(R"({"channels":["a"]})").last_is_integer);
    EXPECT_EQ(subscribe(R"({"channels":[],"last":-5})").last, -5);
    EXPECT_EQ(subscribe(R"({"channels":[],"last":9223372036854775807})").last, INT64_MAX);
}

TEST(ClientEvent, CheckOutdatedIsPresentOrNot) {
    EXPECT_EQ(subscribe(R"({"channels":[],"last":0,"check_outdated":true})").check_outdated, true);
    EXPECT_EQ(subscribe(R"({"channels":[],"last":0,"check_outdated":false})").check_outdated, false);
    EXPECT_EQ(subscribe(R"({"channels":[],"last":0,"check_outdated":1})").check_outdated, false);
}

TEST(ClientEvent, OurOwnClientsSayItForOdooOnly) {
    for (const char* ours : {R"("name_channels":true)", R"("name_channels":false)", R"("confirm":1)"}) {
        const std::string begin = R"({"channels":[],"last":0,)" + std::string(ours);
        EXPECT_EQ(subscribe(begin + R"(,"check_outdated":false})").check_outdated, std::nullopt) << ours;
        EXPECT_EQ(subscribe(begin + R"(,"check_outdated":true})").check_outdated, true) << ours;
    }
}

TEST(ClientEvent, KeysThatOdooAloneUnderstands) {
    const std::string ordinary =
        R"("channels":["a"],"last":1,"check_outdated":true,"confirm":1,"name_channels":true)";
    EXPECT_EQ(subscribe("{" + ordinary + "}").foreign_key, "");
    EXPECT_EQ(subscribe("{" + ordinary + R"(,"mac_address":"aa:bb"})").foreign_key, "mac_address");
    EXPECT_EQ(subscribe(R"({"identifier":"box",)" + ordinary + "}").foreign_key, "identifier");
    EXPECT_EQ(subscribe(R"({"channels":[],"last":0,"iot_token":null})").foreign_key, "iot_token");
    EXPECT_EQ(subscribe(R"({"channels":[],")" + std::string(70, 'x') + R"(":1})").foreign_key,
              std::string(64, 'x'));
    // It may be all that Odoo needs.
    const ClientEvent alone = parse(R"({"event_name":"subscribe","data":{"iot_token":"x"}})");
    EXPECT_EQ(std::get<InvalidEvent>(alone).foreign_key, "iot_token");
    EXPECT_EQ(std::get<InvalidEvent>(parse(R"({"event_name":"subscribe","data":[1]})")).foreign_key, "");
}

TEST(ClientEvent, UpdatePresence) {
    EXPECT_EQ(presence(R"({"inactivity_period":4000})").inactivity_period, 4000);
    EXPECT_EQ(presence(R"({"inactivity_period":4000})").im_status_ids_by_model, "");
    EXPECT_EQ(presence(R"({"inactivity_period":12.9})").inactivity_period, 12);
    const auto with_ids =
        presence(R"({"inactivity_period":0, "im_status_ids_by_model": {"res.partner": [3, 4]}})");
    EXPECT_EQ(with_ids.im_status_ids_by_model, R"({"res.partner":[3,4]})");
    const std::string begin = R"({"event_name":"update_presence")";
    EXPECT_THAT(reason(begin + "}"), HasSubstr("inactivity_period"));
    EXPECT_THAT(reason(begin + R"(,"data":{"inactivity_period":"1"}})"), HasSubstr("inactivity_period"));
    EXPECT_THAT(reason(begin + R"(,"data":{"inactivity_period":1e300}})"), HasSubstr("inactivity_period"));
    EXPECT_THAT(reason(begin + R"(,"data":{"inactivity_period":1,"im_status_ids_by_model":[]}})"),
                HasSubstr("im_status_ids_by_model"));
}

TEST(ClientEvent, UnknownEventsAreNamed) {
    EXPECT_EQ(std::get<UnknownEvent>(parse(R"({"event_name":"my_module","data":[1]})")).event_name,
              "my_module");
    EXPECT_EQ(std::get<UnknownEvent>(parse(R"({"event_name":""})")).event_name, "");
}

TEST(ClientEvent, WhatIsNotAnEvent) {
    for (const char* text : {"", "x", "null", "[]", "\"subscribe\"", "{", "{}", "{\"event_name\":1}",
                             "{\"event_name\":\"subscribe\",}", "{\"event_name\":\"a\\u0000b\"}",
                             "{\"event_name\":\"\\ud800\"}", "{\"event_name\":\"subscribe\"} x"})
        EXPECT_THAT(reason(text), HasSubstr("an event")) << text;
    EXPECT_THAT(reason(R"({"event_name":")" + std::string(129, 'x') + "\"}"), HasSubstr("event_name"));
}

TEST(ClientEvent, WrongTypesInASubscribe) {
    const auto with_data = [](const std::string& data) {
        return reason(R"({"event_name":"subscribe","data":)" + data + "}");
    };
    for (const char* data : {"null", "[]", "{}", R"({"channels":"a"})", R"({"channels":{"a":1}})"})
        EXPECT_THAT(with_data(data), HasSubstr("not an array")) << data;
    for (const char* data : {R"({"channels":[1]})", R"({"channels":["a",["db","x"]]})"})
        EXPECT_THAT(with_data(data), HasSubstr("not a string")) << data;
    EXPECT_THAT(reason(R"({"event_name":"subscribe"})"), HasSubstr("not an array"));
}

TEST(ClientEvent, Bounds) {
    ClientEventLimits limits;
    limits.max_channels = 2;
    limits.max_channel_bytes = 3;
    limits.max_depth = 3;
    limits.max_values = 8;
    const auto with_data = [&](const std::string& data) {
        return reason(R"({"event_name":"subscribe","data":)" + data + "}", limits);
    };
    EXPECT_EQ(with_data(R"({"channels":["a","b"]})"), "valid");
    EXPECT_THAT(with_data(R"({"channels":["a","b","c"]})"), HasSubstr("too many channels"));
    EXPECT_EQ(with_data(R"({"channels":["abc"]})"), "valid");
    EXPECT_THAT(with_data(R"({"channels":["abcd"]})"), HasSubstr("too long"));
    EXPECT_THAT(with_data(R"({"channels":["a"],"x":[[]]})"), HasSubstr("too deeply"));
    EXPECT_THAT(with_data(R"({"channels":[],"x":[1,2,3,4,5]})"), HasSubstr("too many values"));
    EXPECT_EQ(with_data(R"({"channels":[],"x":"[[[[,,,,,,\"[[["})"), "valid"); // inside of a string
    // As deep as a message can be: refused before any parser recurses.
    EXPECT_THAT(reason(std::string(1 << 20, '[')), HasSubstr("too deeply"));
}

TEST(ClientEvent, NotUtf8IsTold) {
    for (const char* text : {"\xff", "{\"event_name\":\"\xc3\"}", "{\"event_name\":\"\xed\xa0\x80\"}",
                             "{\"event_name\":\"\xc0\xaf\"}", "{x \xf5\x80\x80\x80", "12345678\x80"}) {
        const ClientEvent event = parse(text);
        ASSERT_TRUE(std::holds_alternative<InvalidEvent>(event)) << text;
        EXPECT_TRUE(std::get<InvalidEvent>(event).not_utf8) << text;
    }
    EXPECT_EQ(std::get<UnknownEvent>(parse("{\"event_name\":\"\xf0\x9f\x98\x80 abcdefgh é\"}")).event_name,
              "\xf0\x9f\x98\x80 abcdefgh é");
}

} // namespace
} // namespace odoo_bus
