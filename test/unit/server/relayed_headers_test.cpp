// What of a client's head reaches Odoo, and how a WSGI server reads what was written.
#include "server/relayed_headers.h"

#include <algorithm>
#include <map>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/odoo_proxy.h"

namespace odoo_bus {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::Pair;
using testing::StartsWith;

const std::string REQUEST = "POST /bus/x HTTP/1.1\r\nHost: shop.example\r\n";

// The request to Odoo, for a client at the address of a proxy that is trusted or not.
std::string passed_on(const std::string& headers, bool trusted = false) {
    RequestHead head(65536);
    head.feed(REQUEST + headers + "\r\n");
    EXPECT_EQ(head.state(), RequestHead::State::complete) << headers;
    const Trust trust{.proxies = trusted ? std::vector{*Network::parse("127.0.0.1")} : std::vector<Network>{},
                      .origins = {}};
    return OdooProxy::request(head, "body", make_requester(head, Address::parse("127.0.0.1"), trust));
}

// As WSGI servers make it of a head (PEP 3333, RFC 3875): "-" as "_", duplicates joined.
std::map<std::string, std::string> environ_of(const std::string& request) {
    std::map<std::string, std::string> variables;
    std::string_view head = std::string_view(request).substr(0, request.find("\r\n\r\n") + 2);
    head.remove_prefix(head.find("\r\n") + 2);
    while (!head.empty()) {
        const std::string_view line = head.substr(0, head.find("\r\n"));
        head.remove_prefix(line.size() + 2);
        std::string name(line.substr(0, line.find(':')));
        std::ranges::transform(name, name.begin(), [](char c) {
            return c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
        });
        std::string& value = variables[name];
        value += (value.empty() ? "" : ",") + std::string(line.substr(line.find(':') + 2));
    }
    return variables;
}

// The variables that a client may not decide: those that are written anew, and those that Odoo, werkzeug or
// modules of Odoo believe of a proxy.
const std::set<std::string> FORBIDDEN = {"TRANSFER_ENCODING",
                                         "TE",
                                         "TRAILER",
                                         "UPGRADE",
                                         "EXPECT",
                                         "KEEP_ALIVE",
                                         "HTTP2_SETTINGS",
                                         "FORWARDED",
                                         "X_FORWARDED_FOR",
                                         "X_FORWARDED_HOST",
                                         "X_FORWARDED_PROTO",
                                         "X_FORWARDED_PORT",
                                         "X_FORWARDED_PREFIX",
                                         "X_FORWARDED_SERVER",
                                         "X_FORWARDED_SSL",
                                         "X_FORWARDED_SCHEME",
                                         "X_FORWARDED_PROTOCOL",
                                         "X_FORWARDED_BY",
                                         "X_FORWARDED_USER",
                                         "X_FORWARDED",
                                         "X_REAL_IP",
                                         "X_CLIENT_IP",
                                         "CLIENT_IP",
                                         "X_CLUSTER_CLIENT_IP",
                                         "TRUE_CLIENT_IP",
                                         "CF_CONNECTING_IP",
                                         "X_SCHEME",
                                         "X_URL_SCHEME",
                                         "X_HOST",
                                         "X_ORIGINAL_URL",
                                         "X_ORIGINAL_HOST",
                                         "X_REWRITE_URL",
                                         "REMOTE_USER",
                                         "REMOTE_ADDR",
                                         "X_REMOTE_USER",
                                         "X_ODOO_DATABASE",
                                         "X_ODOO_DBFILTER",
                                         "X_ODOO",
                                         "AUTHORIZATION",
                                         "PROXY",
                                         "PROXY_CONNECTION",
                                         "PROXY_AUTHORIZATION",
                                         "PROXY_AUTHENTICATE",
                                         "ACCEPT_ENCODING"};

std::string spelled(const std::string& variable, const std::string& separator, bool lower) {
    std::string name;
    for (const char c : variable)
        name += c == '_' ? separator
                         : std::string(1, static_cast<char>(lower ? std::tolower(c) : std::toupper(c)));
    return name;
}

TEST(RelayedHeaders, NoSpellingOfAForbiddenHeaderIsReadByOdoo) {
    for (const std::string& variable : FORBIDDEN) {
        for (const char* separator : {"-", "_", ".", "!", "~"})
            for (const bool lower : {false, true})
                for (const bool trusted : {false, true}) {
                    // Chunks are refused before; these are believed of a proxy.
                    const std::string name = spelled(variable, separator, lower);
                    const std::string request =
                        passed_on(name + ": evil\r\n" + name + ": twice\r\n", trusted);
                    const bool is_a_proxys = variable.starts_with("X_FORWARDED_FOR") ||
                                             variable == "X_FORWARDED_HOST" ||
                                             variable == "X_FORWARDED_PROTO" || variable == "X_REAL_IP";
                    if (trusted && is_a_proxys && *separator == '-')
                        continue;
                    EXPECT_THAT(request, Not(HasSubstr("evil"))) << name;
                    EXPECT_THAT(request, Not(HasSubstr("twice"))) << name;
                    EXPECT_FALSE(environ_of(request).contains(variable)) << name;
                }
    }
}

TEST(RelayedHeaders, BesideATrustedProxysOwnNothingElseIsReadAsIts) {
    const std::string request =
        passed_on("X-Forwarded-For: 198.51.100.7\r\nX_Forwarded_For: 6.6.6.6\r\nx.forwarded.for: 6.6.6.6\r\n"
                  "X-Forwarded-Host: real.example\r\nX_Forwarded_Host: evil.example\r\nX-Forwarded_Host: "
                  "evil.example\r\n"
                  "X-Forwarded-Proto: https\r\nX_Forwarded_Proto: evil\r\nX-Real-IP: "
                  "198.51.100.7\r\nX_Real_IP: 6.6.6.6\r\n"
                  "X_Odoo_Database: evil\r\nContent_Length: 99\r\nHost_: evil\r\n",
                  true);
    const auto read = environ_of(request);
    EXPECT_EQ(read.at("X_FORWARDED_FOR"), "198.51.100.7");
    EXPECT_EQ(read.at("X_FORWARDED_HOST"), "real.example");
    EXPECT_EQ(read.at("X_FORWARDED_PROTO"), "https");
    EXPECT_EQ(read.at("X_REAL_IP"), "198.51.100.7");
    EXPECT_EQ(read.at("HOST"), "shop.example");
    EXPECT_EQ(read.at("CONTENT_LENGTH"), "4");
    EXPECT_EQ(read.at("CONNECTION"), "close");
    EXPECT_THAT(request, Not(HasSubstr("evil")));
    EXPECT_THAT(request, Not(HasSubstr("6.6.6.6")));
}

TEST(RelayedHeaders, ConnectionNamesHeadersThatEndHere) {
    const std::string request =
        passed_on("Connection: close, X-Mine ,\tX-TAB\r\nConnection: x-second, host, x-forwarded-for\r\n"
                  "X-Mine: gone\r\nx-tab: gone\r\nX-Second: gone\r\nX-Other: stays\r\n"
                  "X-Forwarded-For: 192.0.2.1\r\n",
                  true);
    EXPECT_THAT(request, Not(HasSubstr("gone")));
    EXPECT_THAT(request, HasSubstr("X-Other: stays\r\n"));
    EXPECT_THAT(request, HasSubstr("Host: shop.example\r\n"));
    EXPECT_THAT(request, HasSubstr("X-Forwarded-For: 192.0.2.1\r\n")) << "a proxy's own is written anew";
}

TEST(RelayedHeaders, WhatIsTheClientsOwnIsPassedOn) {
    RequestHead head(65536);
    head.feed(REQUEST + "Cookie: session_id=a\r\nUser-Agent: b\r\nCookie: dgid=c\r\nX-CSRF-Token: d\r\n"
                        "Content-Type: application/json\r\nOrigin: https://shop.example\r\n"
                        "Sec-Fetch-Site: same-origin\r\nX-Requested-With: e\r\n\r\n");
    EXPECT_THAT(relayed_headers(head),
                ElementsAre(Pair("Host", "shop.example"), Pair("Cookie", "session_id=a; dgid=c"),
                            Pair("User-Agent", "b"), Pair("X-CSRF-Token", "d"),
                            Pair("Content-Type", "application/json"), Pair("Origin", "https://shop.example"),
                            Pair("Sec-Fetch-Site", "same-origin"), Pair("X-Requested-With", "e")));
}

// The head's parser refuses what two servers could read differently. The rest has one length.
TEST(RelayedHeaders, WhatCouldFrameAMessageTwiceIsRefusedOrDropped) {
    for (const char* refused : {"Content-Length: 4\r\nContent-Length: 4\r\n",
                                "Content-Length: 4\r\ncontent-length: 5\r\n",
                                "Content-Length: 4, 4\r\n",
                                "Content-Length: +4\r\n",
                                "Content-Length: -1\r\n",
                                "Content-Length: 0x4\r\n",
                                "Content-Length: 4 4\r\n",
                                "Content-Length: \r\n",
                                "Content-Length: 18446744073709551616\r\n",
                                "Content-Length : 4\r\n",
                                "Content-Length\r\n",
                                "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
                                "Content-Length: 4\r\ntransfer-ENCODING: identity\r\n",
                                "Transfer-Encoding : chunked\r\n",
                                "X: a\r\n Transfer-Encoding: chunked\r\n",
                                "X: a\r\n\tContent-Length: 4\r\n",
                                "X: a\nTransfer-Encoding: chunked\r\n",
                                "X: a\rTransfer-Encoding: chunked\r\n",
                                "\x0bTransfer-Encoding: chunked\r\n",
                                "Transfer-Encoding\x0b: chunked\r\n",
                                "Transfer-Encoding\xc2\xa0: chunked\r\n",
                                ": x\r\n",
                                "Host: other\r\n"}) {
        RequestHead head(65536);
        head.feed(REQUEST + refused + "\r\n");
        EXPECT_EQ(head.state(), RequestHead::State::refused) << refused;
    }
    for (const char* dropped : {"Transfer_Encoding: chunked\r\n", "transfer_encoding: chunked\r\n",
                                "Transfer.Encoding: chunked\r\n", "Transfer_Encoding: identity, chunked\r\n",
                                "Content_Length: 99\r\n", "CONTENT_LENGTH: 99\r\n", "Content-_Length: 99\r\n",
                                "'Transfer-Encoding: chunked\r\n", "Transfer-Encoding`: chunked\r\n"}) {
        const std::string request = passed_on(std::string("Content-Length: 4\r\n") + dropped);
        const auto read = environ_of(request);
        EXPECT_EQ(read.at("CONTENT_LENGTH"), "4") << dropped;
        EXPECT_FALSE(read.contains("TRANSFER_ENCODING")) << dropped;
        EXPECT_THAT(request, Not(HasSubstr("chunked"))) << dropped;
        EXPECT_THAT(request, testing::EndsWith("\r\n\r\nbody")) << dropped;
    }
}

// A list of thousands of names, and as many headers, are compared within a moment.
TEST(RelayedHeaders, ManyHeadersAreNotComparedWithEachOther) {
    std::string headers = "Connection: ";
    for (int n = 0; n < 60'000; ++n)
        headers += "a" + std::to_string(n) + ",";
    headers += "\r\n";
    for (int n = 0; n < 60'000; ++n)
        headers += "b" + std::to_string(n) + ": x\r\n";
    RequestHead head(2 << 20);
    head.feed(REQUEST + headers + "\r\n");
    ASSERT_EQ(head.state(), RequestHead::State::complete);
    EXPECT_EQ(relayed_headers(head).size(), 60'001u);
}

TEST(RelayedHeaders, OfAnAnswerTooNothingIsPassedOnThatFramesIt) {
    HttpAnswer answer({});
    answer.feed("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nKeep-Alive: 1\r\nProxy-Authenticate: x\r\n"
                "X-Mine: a\r\n\r\n4\r\nbody\r\n0\r\n\r\n");
    const Response response = OdooProxy::response(answer);
    EXPECT_THAT(response.headers, ElementsAre(Pair("X-Mine", "a")));
    EXPECT_THAT(response.to_string(), StartsWith("HTTP/1.1 200 OK\r\n"));
}

} // namespace
} // namespace odoo_bus
