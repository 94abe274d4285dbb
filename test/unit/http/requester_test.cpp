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

TEST(Origin, HostOnly) {
    EXPECT_EQ(host_only("Shop.Example:80"), "shop.example");
    EXPECT_EQ(host_only("shop.example."), "shop.example");
    EXPECT_EQ(host_only("[::1]:80"), "[::1]");
    EXPECT_EQ(host_only("[::1"), "");
}

} // namespace
} // namespace odoo_bus
