// What a request over plain HTTP subscribes to.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "clients/http_subscribe.h"

namespace odoo_bus {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

HttpSubscribe get(std::string query, std::string last_event_id = {}) {
    HttpRequest request;
    request.query = std::move(query);
    request.last_event_id = std::move(last_event_id);
    return http_subscribe(request, {});
}

HttpSubscribe post(HttpRequest::Kind kind, std::string body) {
    HttpRequest request;
    request.kind = kind;
    request.is_post = true;
    request.body = std::move(body);
    return http_subscribe(request, {});
}

TEST(HttpSubscribe, AQueryNamesChannels) {
    EXPECT_THAT(get("channels=a,b,,c&channel=d%2Ce&channels=f").subscribe.channels,
                ElementsAre("a", "b", "c", "d,e", "f"));
    EXPECT_THAT(get("").subscribe.channels, IsEmpty());
    EXPECT_THAT(get("channels=").subscribe.channels, IsEmpty());
    EXPECT_THAT(get("channels=,").subscribe.channels, IsEmpty());
}

TEST(HttpSubscribe, TheHeaderLastEventIdGoesBeforeLast) {
    EXPECT_EQ(get("last=5").subscribe.last, 5);
    EXPECT_EQ(get("last=5", "7").subscribe.last, 7);
    EXPECT_EQ(get("last=5").subscribe.check_outdated, true);
    // Without a position nothing can be out of date, and the stream begins a while ago.
    EXPECT_EQ(get("last=0").subscribe.check_outdated, std::nullopt);
    EXPECT_FALSE(get("last=x").subscribe.last_is_integer);
    EXPECT_FALSE(get("last=5", "99999999999999999999").subscribe.last_is_integer);
}

TEST(HttpSubscribe, WhatIsNoTextIsRefused) {
    for (const char* query : {"channels=%ff", "channel=%00", "channels=%4", "x=%c3"})
        EXPECT_FALSE(get(query).problem.empty()) << query;
    EXPECT_THAT(get("channel=" + std::string(1'025, 'x')).problem, HasSubstr("too long"));
    std::string many = "channels=a";
    for (int i = 0; i < 10'000; ++i)
        many += ",a";
    EXPECT_THAT(get(many).problem, HasSubstr("too many"));
}

TEST(HttpSubscribe, AStreamsBodyIsTheDataOfASubscribe) {
    const auto asked = post(HttpRequest::Kind::events, R"({"channels":["a,b"],"last":3,"confirm":9})");
    EXPECT_THAT(asked.subscribe.channels, ElementsAre("a,b"));
    EXPECT_EQ(asked.subscribe.last, 3);
    EXPECT_EQ(asked.subscribe.confirm, 9);
}

TEST(HttpSubscribe, APollIsJsonRpc) {
    const auto asked = post(HttpRequest::Kind::poll, R"({"id":"x\"y","params":{"channels":["a"],"last":3}})");
    EXPECT_EQ(asked.id, R"("x\"y")");
    EXPECT_THAT(asked.subscribe.channels, ElementsAre("a"));
    EXPECT_EQ(post(HttpRequest::Kind::poll, R"({"id":[1],"params":{"channels":[]}})").id, "null");
    EXPECT_EQ(
        post(HttpRequest::Kind::poll, R"({"id":")" + std::string(99, 'x') + R"(","params":{"channels":[]}})")
            .id,
        "null");
    for (const char* body :
         {"", "[]", "1", "{", R"({"params":[]})", R"({"channels":["a"]})", R"({"params":{"channels":[1]}})"})
        EXPECT_FALSE(post(HttpRequest::Kind::poll, body).problem.empty()) << body;
}

} // namespace
} // namespace odoo_bus
