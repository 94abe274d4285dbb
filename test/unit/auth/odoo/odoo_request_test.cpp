// What goes to Odoo, byte by byte, and as whom.
#include "auth/odoo/odoo_request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/odoo_url.h"

namespace odoo_bus {
namespace {

using testing::HasSubstr;
using testing::Not;

const std::string SESSION(84, 's');

Requester requester() {
    Requester requester;
    requester.host = requester.sent_host = "shop.example";
    requester.own_origin = true;
    requester.cookies = {{"session_id", SESSION}, {"dgid", "12|aZ-_9"}, {"tz", "Europe/Berlin"}};
    return requester;
}

TEST(OdooRequest, Identities) {
    const Identity own = identify(requester());
    EXPECT_FALSE(own.is_public);
    EXPECT_EQ(own.guest_channel, "mail.guest_12|aZ-_9");
    EXPECT_EQ(own.cookie_header(), "session_id=" + SESSION + "; dgid=12|aZ-_9; tz=Europe/Berlin");

    Requester foreign = requester();
    foreign.own_origin = false;
    EXPECT_TRUE(identify(foreign).is_public);
    EXPECT_TRUE(identify(foreign).cookies.empty());
    EXPECT_EQ(identify(foreign).guest_channel, "");

    Requester odd = requester();
    odd.cookies = {{"session_id", "short"}, {"dgid", "x|y"}};
    EXPECT_TRUE(identify(odd).is_public);
    EXPECT_TRUE(identify(odd).cookies.empty());
}

TEST(OdooRequest, TheWholeRequest) {
    Requester who = requester();
    who.user_agent = "Firefox";
    who.forwarded_for = "203.0.113.9, 192.0.2.7";
    who.authorization = "Bearer secret";
    EXPECT_EQ(post_request("/websocket/on_closed", who, "a=b", empty_call_body()),
              "POST /websocket/on_closed HTTP/1.1\r\nHost: shop.example\r\n"
              "X-Forwarded-For: 203.0.113.9, 192.0.2.7\r\nUser-Agent: Firefox\r\nConnection: close\r\n"
              "Cookie: a=b\r\nContent-Type: application/json\r\nContent-Length: 52\r\n\r\n"
              R"({"jsonrpc":"2.0","method":"call","id":1,"params":{}})"
              "");
}

TEST(OdooRequest, NothingSplitsALine) {
    for (const char* poison :
         {"a\r\nX-Evil: 1", "a\nX-Evil: 1", "a\rX-Evil: 1", "a\x7fX-Evil: 1", "a\tX-Evil: 1"}) {
        Requester who = requester();
        who.user_agent = who.accept_language = who.forwarded_for = who.forwarded_host = poison;
        who.forwarded_proto = who.real_ip = poison;
        EXPECT_THAT(post_request("/x", who, poison, "{}"), Not(HasSubstr("Evil")));
    }
}

TEST(OdooRequest, AWebSocketAsTheClientAskedForIt) {
    Requester who = requester();
    who.origin = "https://shop.example";
    who.query = "version=19.0-2";
    who.user_agent = "IoT";
    EXPECT_EQ(websocket_request(who, "dGhlIHNhbXBsZSBub25jZQ=="),
              "GET /websocket?version=19.0-2 HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: IoT\r\n"
              "Origin: https://shop.example\r\nCookie: session_id=" +
                  SESSION +
                  "; dgid=12|aZ-_9; tz=Europe/Berlin\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n");
    who.own_origin = false;
    EXPECT_THAT(websocket_request(who, "k"), Not(HasSubstr("Cookie")));
    for (const char* poison : {"a\r\nEvil: 1", "a\nEvil: 1", "a HTTP/1.1\r\nEvil: 1"}) {
        who.origin = who.query = poison;
        EXPECT_THAT(websocket_request(who, "k"), Not(HasSubstr("Evil")));
    }
}

TEST(OdooRequest, ChannelsAreTexts) {
    EXPECT_EQ(peek_body({"a", "\"],[\"x\"", "\xc3\xa9", "\xff"}, 7, true),
              R"({"jsonrpc":"2.0","method":"call","id":1,"params":{"channels":["a","\"],[\"x\"","\u00e9"],)"
              R"("last":7,"is_first_poll":true}})");
    EXPECT_EQ(
        peek_body({}, 0, false),
        R"({"jsonrpc":"2.0","method":"call","id":1,"params":{"channels":[],"last":0,"is_first_poll":false}})");
}

TEST(OdooUrl, Texts) {
    std::string error;
    EXPECT_EQ(OdooUrl::parse("http://127.0.0.1:8069", error), (OdooUrl{"127.0.0.1", 8069}));
    EXPECT_EQ(OdooUrl::parse("http://odoo/", error), (OdooUrl{"odoo", 80}));
    EXPECT_EQ(OdooUrl::parse("http://[::1]:8069", error)->text(), "http://[::1]:8069");
    EXPECT_FALSE(OdooUrl::parse("https://odoo", error));
    EXPECT_THAT(error, HasSubstr("https is not supported"));
    for (const char* text : {"", "odoo:8069", "http://", "http://odoo/path", "http://odoo:0",
                             "http://odoo:99999", "http://user@odoo", "http://o doo", "http://[::1"})
        EXPECT_FALSE(OdooUrl::parse(text, error)) << text;
}

TEST(OdooUrl, OfTheBusServer) {
    std::string error;
    EXPECT_EQ(OdooUrl::parse_websocket("ws://127.0.0.1:8072", error), (OdooUrl{"127.0.0.1", 8072}));
    EXPECT_EQ(OdooUrl::parse_websocket("ws://odoo/websocket", error), (OdooUrl{"odoo", 80}));
    EXPECT_EQ(OdooUrl::parse_websocket("ws://[::1]:8072/", error)->text("ws"), "ws://[::1]:8072");
    EXPECT_EQ(error, "");
    EXPECT_FALSE(OdooUrl::parse_websocket("wss://odoo", error));
    EXPECT_THAT(error, HasSubstr("wss is not supported"));
    for (const char* text : {"odoo:8072", "ws://", "http://odoo", "ws://odoo/other", "ws://odoo:0/websocket"})
        EXPECT_FALSE(OdooUrl::parse_websocket(text, error)) << text;
    EXPECT_THAT(error, HasSubstr("ws://127.0.0.1:8072"));
}

} // namespace
} // namespace odoo_bus
