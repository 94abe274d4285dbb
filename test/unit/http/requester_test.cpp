// Who asks: what is believed of a request head, and which origins are one's own.
#include "http/requester.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "http/origin.h"
#include "http/request_head.h"

namespace odoo_bus {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

Requester of(const std::string& headers, const std::optional<Address>& peer = Address::parse("127.0.0.1"),
             const std::vector<std::string>& origins = {}) {
    RequestHead head(16384);
    head.feed("GET /websocket HTTP/1.1\r\n" + headers + "\r\n");
    EXPECT_EQ(head.state(), RequestHead::State::complete);
    return make_requester(head, peer, {{*Network::parse("127.0.0.0/8")}, origins});
}

TEST(Requester, AProxyIsBelievedAndNobodyElse) {
    const std::string headers = "Host: odoochat\r\nX-Forwarded-Host: forged.example, Shop.example:8443\r\n"
                                "X-Forwarded-For: 203.0.113.9, 192.0.2.7\r\nX-Forwarded-Proto: https\r\n"
                                "X-Real-IP: 192.0.2.7\r\n";
    const Requester by_proxy = of(headers);
    EXPECT_EQ(by_proxy.host, "Shop.example:8443");
    EXPECT_EQ(by_proxy.sent_host, "odoochat");
    EXPECT_EQ(by_proxy.address, Address::parse("192.0.2.7"));
    EXPECT_EQ(by_proxy.forwarded_for, "203.0.113.9, 192.0.2.7");
    EXPECT_EQ(by_proxy.forwarded_proto, "https");
    EXPECT_EQ(of(headers, std::nullopt).host, "Shop.example:8443"); // a unix socket

    const Requester direct = of(headers, Address::parse("198.51.100.1"));
    EXPECT_EQ(direct.host, "odoochat");
    EXPECT_EQ(direct.address, Address::parse("198.51.100.1"));
    EXPECT_EQ(direct.forwarded_host + direct.forwarded_for + direct.forwarded_proto + direct.real_ip, "");
}

TEST(Requester, WithoutAnAddressOfTheBrowserTheProxysOwnCounts) {
    EXPECT_EQ(of("Host: a\r\nX-Forwarded-For: unknown\r\n").address, Address::parse("127.0.0.1"));
    EXPECT_EQ(of("Host: a\r\nX-Forwarded-For: unknown\r\n", std::nullopt).address, std::nullopt);
}

TEST(Requester, WithThePortOfTheBrowserItsAddressIsTheSame) {
    EXPECT_EQ(of("Host: a\r\nX-Forwarded-For: 198.51.100.1, 203.0.113.7:51234\r\n").address,
              Address::parse("203.0.113.7"));
}

TEST(Requester, WhatCannotBeReadIsLimitedAsOneAddress) {
    const auto limited = [](const std::string& headers, const char* peer = "127.0.0.1") {
        RequestHead head(16384);
        head.feed("GET /websocket HTTP/1.1\r\nHost: a\r\n" + headers + "\r\n");
        return client_address(head, Address::parse(peer), {{*Network::parse("127.0.0.0/8")}, {}});
    };
    for (const char* value : {"unknown", "_x", "203.0.113.7:port", "203.0.113.7, ", ",", "1"})
        EXPECT_EQ(limited(std::string("X-Forwarded-For: ") + value + "\r\n"), Address()) << value;
    EXPECT_EQ(limited("X-Forwarded-For: 203.0.113.7:1\r\n"), limited("X-Forwarded-For: 203.0.113.7:2\r\n"));
    EXPECT_EQ(limited(""), std::nullopt); // the proxy's own
    EXPECT_EQ(limited("X-Forwarded-For: unknown\r\n", "198.51.100.1"), Address::parse("198.51.100.1"));
}

TEST(Requester, OneCookieForEachName) {
    const Requester requester =
        of("Host: a\r\nCookie: session_id=one; x=1;session_id=two\r\n"
           "Cookie: dgid = g ; bad; =nameless; tab=a\tb; odoo_bus_gateway=me; X=2\r\n");
    EXPECT_THAT(requester.cookies,
                ElementsAre(Pair("session_id", "one"), Pair("x", "1"), Pair("dgid", "g"), Pair("X", "2")));
    EXPECT_EQ(requester.cookie("session_id"), "one");
    EXPECT_EQ(requester.cookie("odoo_bus_gateway"), std::nullopt);
    EXPECT_THAT(of("Host: a\r\n").cookies, IsEmpty());
}

TEST(Requester, HoldsNoControlCharacter) {
    EXPECT_EQ(of("Host: a\r\nUser-Agent: a\tb\r\n").user_agent, "a b");
}

TEST(Requester, OriginsAreComparedByHost) {
    const auto own = [](const std::string& origin,
                        const std::string& headers = "Host: shop.example:8069\r\n") {
        return of(headers + "Origin: " + origin + "\r\n").own_origin;
    };
    EXPECT_TRUE(own("http://shop.example"));
    EXPECT_TRUE(own("https://SHOP.example:443"));
    for (const char* origin :
         {"null", "https://evil.example", "https://shop.example.evil.example", "https://evilshop.example",
          "https://shop.example@evil.example", "https://evil.example/shop.example", "shop.example",
          "://shop.example", "https://", "https://shop.example https://evil.example"})
        EXPECT_FALSE(own(origin)) << origin;
    EXPECT_TRUE(own("https://shop.example", "Host: odoochat\r\nX-Forwarded-Host: shop.example\r\n"));
    EXPECT_FALSE(own("https://odoochat", "Host: odoochat\r\nX-Forwarded-Host: shop.example\r\n"));
    EXPECT_TRUE(own("http://[::1]:8069", "Host: [::1]:8069\r\n"));
    EXPECT_FALSE(own("http://[::1]:8069", "Host: [::2]:8069\r\n"));
}

TEST(Requester, AllowedOriginsAreComparedWhole) {
    const auto own = [](const std::string& origin) {
        return of("Host: a\r\nOrigin: " + origin + "\r\n", Address::parse("127.0.0.1"),
                  {"https://www.example.com"})
            .own_origin;
    };
    EXPECT_TRUE(own("https://www.example.com"));
    EXPECT_FALSE(own("http://www.example.com"));
    EXPECT_FALSE(own("https://www.example.com:8443"));
}

// Of a page, and what a trusted proxy says of the request.
bool is_own(const std::string& origin, const std::string& headers, OriginMatch match = OriginMatch::origin,
            const std::optional<Address>& peer = Address::parse("127.0.0.1")) {
    RequestHead head(16384);
    head.feed("GET /websocket HTTP/1.1\r\n" + headers + "Origin: " + origin + "\r\n\r\n");
    EXPECT_EQ(head.state(), RequestHead::State::complete) << headers;
    const Requester requester = make_requester(
        head, peer, {.proxies = {*Network::parse("127.0.0.0/8")}, .origins = {}, .origin_match = match});
    EXPECT_EQ(requester.same_host, requester.own_origin);
    return requester.own_origin;
}

TEST(Requester, SchemeAndPortCountAsFarAsAProxyTellsThem) {
    const std::string host = "Host: shop.example\r\n", to_host = "X-Forwarded-Host: shop.example\r\n",
                      to_8443 = "X-Forwarded-Host: shop.example:8443\r\n",
                      https = "X-Forwarded-Proto: https\r\n", http = "X-Forwarded-Proto: http\r\n";
    const struct {
        std::string headers;
        std::vector<std::string> own, foreign;
    } cases[] = {
        // Nothing is told.
        {host,
         {"https://shop.example", "http://shop.example", "https://shop.example:8443"},
         {"https://a.example"}},
        {"Host: shop.example:8073\r\n", {"http://shop.example:8069", "https://shop.example"}, {"null"}},
        // The scheme, and by it the port.
        {host + https,
         {"https://shop.example", "https://SHOP.example:443"},
         {"http://shop.example", "https://shop.example:8443", "http://shop.example:443",
          "ftp://shop.example"}},
        {host + http,
         {"http://shop.example", "http://shop.example:80"},
         {"https://shop.example", "http://shop.example:8080", "https://shop.example:80"}},
        {to_host + host + https,
         {"https://shop.example"},
         {"http://shop.example", "https://shop.example:8443"}},
        {"Host: shop.example:8443\r\n" + https,
         {"https://shop.example:8443"},
         {"https://shop.example", "http://shop.example:8443"}},
        // In other words: proxies add to a list, and some name the scheme of a WebSocket.
        {host + "X-Forwarded-Proto: http, https\r\n", {"https://shop.example"}, {"http://shop.example"}},
        {host + "X-Forwarded-Proto: WSS\r\n", {"https://shop.example"}, {"http://shop.example"}},
        {host + "X-Forwarded-Proto: ws\r\n", {"http://shop.example"}, {"https://shop.example"}},
        {host + "X-Forwarded-Proto: gopher\r\n", {"https://shop.example", "http://shop.example:81"}, {}},
        // The port.
        {host + to_8443,
         {"https://shop.example:8443", "http://shop.example:8443"},
         {"https://shop.example", "https://shop.example:443", "https://shop.example:8444"}},
        {host + to_8443 + https,
         {"https://shop.example:8443"},
         {"http://shop.example:8443", "https://shop.example"}},
        {host + https + "X-Forwarded-Port: 8443\r\n",
         {"https://shop.example:8443"},
         {"https://shop.example"}},
        {host + "X-Forwarded-Port: 80, 443\r\n", {"https://shop.example"}, {"http://shop.example"}},
        // The browser's own port before the proxy's.
        {host + to_8443 + https + "X-Forwarded-Port: 443\r\n",
         {"https://shop.example:8443"},
         {"https://shop.example"}},
        // What is no port says nothing.
        {host + "X-Forwarded-Port: 65536\r\n", {"https://shop.example", "http://shop.example:81"}, {}},
        {host + https + "X-Forwarded-Port: -443\r\n",
         {"https://shop.example"},
         {"https://shop.example:8443"}},
        {"Host: [::1]:8069\r\n" + http, {"http://[::1]:8069"}, {"http://[::1]", "https://[::1]:8069"}},
        {"Host: [::1]\r\n" + https, {"https://[::1]"}, {"https://[::1]:8443"}},
    };
    for (const auto& [headers, own, foreign] : cases) {
        for (const std::string& origin : own)
            EXPECT_TRUE(is_own(origin, headers)) << origin << "\n" << headers;
        for (const std::string& origin : foreign)
            EXPECT_FALSE(is_own(origin, headers)) << origin << "\n" << headers;
    }
}

TEST(Requester, AnOriginWithABadPortIsForeign) {
    for (const char* origin : {"https://shop.example:", "https://shop.example:x", "https://shop.example:0",
                               "https://shop.example:99999", "https://shop.example:443:443"})
        EXPECT_FALSE(is_own(origin, "Host: shop.example\r\nX-Forwarded-Proto: https\r\n")) << origin;
}

TEST(Requester, AStrangerTellsNoSchemeAndNoPort) {
    const auto stranger = Address::parse("198.51.100.1");
    const std::string told = "Host: shop.example\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Port: 8443\r\n";
    EXPECT_TRUE(is_own("http://shop.example:81", told, OriginMatch::origin, stranger));
    EXPECT_FALSE(is_own("http://shop.example:81", told));
    EXPECT_FALSE(is_own("http://evil.example", "Host: shop.example\r\nX-Forwarded-Host: evil.example\r\n",
                        OriginMatch::origin, stranger));
}

TEST(Requester, ByHostAloneSchemeAndPortNeverCount) {
    const std::string told = "Host: shop.example\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Port: 8443\r\n";
    for (const char* origin : {"http://shop.example", "https://shop.example", "http://shop.example:81"})
        EXPECT_TRUE(is_own(origin, told, OriginMatch::host)) << origin;
    EXPECT_FALSE(is_own("https://evil.example:8443", told, OriginMatch::host));
    EXPECT_FALSE(is_own("null", told, OriginMatch::host));
}

TEST(Origin, PortIn) {
    EXPECT_EQ(port_in("a:80"), 80);
    EXPECT_EQ(port_in("[::1]:80"), 80);
    for (const char* none : {"a", "[::1]", "a:", "a:x", "a:0", "a:65536", "a:+1", "a:80:80", "[::1", ""})
        EXPECT_EQ(port_in(none), std::nullopt) << none;
}

TEST(Origin, HostOnly) {
    EXPECT_EQ(host_only("Shop.Example:80"), "shop.example");
    EXPECT_EQ(host_only("shop.example."), "shop.example");
    EXPECT_EQ(host_only("[::1]:80"), "[::1]");
    EXPECT_EQ(host_only("[::1"), "");
}

} // namespace
} // namespace odoo_bus
