// Request heads: bounded, strict, the same however the bytes are cut.
#include "http/request_head.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace odoo_bus {
namespace {

using State = RequestHead::State;
constexpr size_t LIMIT = 16384;

const std::string REQUEST_LINE = "GET /websocket?version=19.0-2&x=%41 HTTP/1.1\r\n";
const std::string HOST = "Host: example.com:8073\r\n";

// 0 when `text` is a complete head, else the status of its refusal; -1 when more is needed. Fed as a whole
// and byte by byte, which must not differ.
int status_of(const std::string& text, size_t limit = LIMIT) {
    const auto status = [](const RequestHead& head) {
        return head.state() == State::complete  ? 0
               : head.state() == State::refused ? head.refusal().status
                                                : -1;
    };
    RequestHead whole(limit);
    whole.feed(text);
    RequestHead bytewise(limit);
    for (const char c : text)
        bytewise.feed({&c, 1});
    EXPECT_EQ(status(whole), status(bytewise)) << text;
    return status(whole);
}

TEST(RequestHead, IsReadInPieces) {
    const std::string text = REQUEST_LINE + HOST + "X-A:  one \t\r\nx-a:two\r\nEmpty:\r\n\r\n";
    for (size_t cut = 1; cut < text.size(); ++cut) {
        RequestHead head(LIMIT);
        ASSERT_EQ(head.feed(text.substr(0, cut)), State::need_more) << cut;
        ASSERT_EQ(head.feed(text.substr(cut) + "\x81\x82"), State::complete) << cut;
        EXPECT_EQ(head.method(), "GET");
        EXPECT_EQ(head.path(), "/websocket");
        EXPECT_EQ(head.query(), "version=19.0-2&x=%41");
        EXPECT_EQ(head.head_bytes(), text.size());
        EXPECT_EQ(head.head(), text);
        EXPECT_EQ(head.rest(), "\x81\x82");
        ASSERT_EQ(head.header_count(), 4u);
        EXPECT_EQ(head.header(0),
                  (std::pair<std::string_view, std::string_view>("Host", "example.com:8073")));
        EXPECT_EQ(head.header(2), (std::pair<std::string_view, std::string_view>("x-a", "two")));
        EXPECT_EQ(head.all("X-a"), (std::vector<std::string_view>{"one", "two"}));
        EXPECT_EQ(head.first("X-A"), "one");
        EXPECT_EQ(head.first("empty"), "");
        EXPECT_EQ(head.first("missing"), std::nullopt);
        EXPECT_EQ(head.count("x-A"), 2u);
        EXPECT_EQ(head.joined("x-a"), "one, two");
    }
}

TEST(RequestHead, NothingIsReadAfterTheEnd) {
    RequestHead head(LIMIT);
    ASSERT_EQ(head.feed("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), State::complete);
    EXPECT_EQ(head.feed("GET /other HTTP/1.1\r\n\r\n"), State::complete);
    EXPECT_EQ(head.path(), "/");
    EXPECT_EQ(head.query(), "");
    EXPECT_EQ(head.rest(), "");
    EXPECT_EQ(head.time_out(), State::complete);
}

TEST(RequestHead, RequestLine) {
    const auto with = [](const std::string& line) { return status_of(line + "\r\n" + HOST + "\r\n"); };
    EXPECT_EQ(with("GET / HTTP/1.1"), 0);
    EXPECT_EQ(with("M-SEARCH / HTTP/1.1"), 0);
    EXPECT_EQ(with("GET /? HTTP/1.1"), 0);
    EXPECT_EQ(with("GET / HTTP/1.0"), 0);
    EXPECT_EQ(with("GET / HTTP/2.0"), 505);
    EXPECT_EQ(with("GET / HTTP/1.10"), 400);
    EXPECT_EQ(with("GET / http/1.1"), 400);
    EXPECT_EQ(with("GET / HTTP/1.1 "), 400);
    EXPECT_EQ(with("GET  / HTTP/1.1"), 400);
    EXPECT_EQ(with("GET /"), 400);
    EXPECT_EQ(with("GET"), 400);
    EXPECT_EQ(with(""), 400);
    EXPECT_EQ(with(" GET / HTTP/1.1"), 400);
    EXPECT_EQ(with("GE(T / HTTP/1.1"), 400);
    EXPECT_EQ(with("GET\t/ HTTP/1.1"), 400);
    EXPECT_EQ(with("GET websocket HTTP/1.1"), 400);
    EXPECT_EQ(with("GET ftp://a/websocket HTTP/1.1"), 400);
    EXPECT_EQ(with("GET * HTTP/1.1"), 400);
    EXPECT_EQ(with("CONNECT a:1 HTTP/1.1"), 400);
    EXPECT_EQ(with("GET /a b HTTP/1.1"), 400);
    EXPECT_EQ(with("GET /a\tb HTTP/1.1"), 400);
    EXPECT_EQ(with("GET /a#b HTTP/1.1"), 400);
    EXPECT_EQ(with("GET /\xc3\xa9 HTTP/1.1"), 400);
    EXPECT_EQ(with(std::string("GET /\0 HTTP/1.1", 15)), 400);
    EXPECT_EQ(with("GET /\x7f HTTP/1.1"), 400);
}

TEST(RequestHead, WithHttp10NoHostIsNeeded) {
    RequestHead head(LIMIT);
    ASSERT_EQ(head.feed("GET /websocket/health HTTP/1.0\r\n\r\n"), State::complete);
    EXPECT_TRUE(head.is_http_1_0());
    EXPECT_EQ(head.path(), "/websocket/health");
    EXPECT_EQ(status_of("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n"), 400);
    EXPECT_EQ(status_of("GET / HTTP/1.1\r\n\r\n"), 400);
}

TEST(RequestHead, AUrlAsTargetNamesTheHostOfTheHostHeader) {
    RequestHead head(LIMIT);
    ASSERT_EQ(head.feed("GET http://Example.org:80/a?b=c HTTP/1.1\r\nHost: example.org:80\r\n\r\n"),
              State::complete);
    EXPECT_EQ(head.path(), "/a");
    EXPECT_EQ(head.query(), "b=c");
    const auto with = [](const std::string& target, const std::string& host = "h") {
        return status_of("GET " + target + " HTTP/1.1\r\nHost: " + host + "\r\n\r\n");
    };
    EXPECT_EQ(with("https://h/"), 0);
    for (const char* target : {"http://other/", "http://h:80/", "http://user@h/", "http:///", "http://h",
                               "http://h?a", "//h/", "HTTP://h/"})
        EXPECT_EQ(with(target), std::string_view(target) == "//h/" ? 0 : 400)
            << target; // a path like any other
}

TEST(RequestHead, WhatCannotBeHttpIsToldAtTheFirstByte) {
    RequestHead head(LIMIT);
    EXPECT_EQ(head.feed("\x16"), State::refused); // a TLS ClientHello
    EXPECT_EQ(head.refusal().status, 400);
}

TEST(RequestHead, HeaderLines) {
    const auto with = [](const std::string& line) {
        return status_of("GET / HTTP/1.1\r\n" + HOST + line + "\r\n\r\n");
    };
    EXPECT_EQ(with("A: b"), 0);
    EXPECT_EQ(with("A:"), 0);
    EXPECT_EQ(with("A: \tb: c\t "), 0);
    EXPECT_EQ(with("A: caf\xe9"), 0); // obsolete, but allowed
    EXPECT_EQ(with("A b: c"), 400);
    EXPECT_EQ(with("A : c"), 400);
    EXPECT_EQ(with(": c"), 400);
    EXPECT_EQ(with("A"), 400);
    EXPECT_EQ(with(" folded"), 400);
    EXPECT_EQ(with("A: b\r\n\tfolded"), 400);
    EXPECT_EQ(with("A: b\x01"), 400);
    EXPECT_EQ(with("A: b\x7f"), 400);
    EXPECT_EQ(with("A: b\rc"), 400);
    EXPECT_EQ(with(std::string("A: b\0c", 6)), 400);
    EXPECT_EQ(with("A\xc3\xa9: b"), 400);
}

TEST(RequestHead, BareLineFeeds) {
    EXPECT_EQ(status_of("GET / HTTP/1.1\nHost: a\n\n"), 400);
    EXPECT_EQ(status_of("GET / HTTP/1.1\r\nHost: a\n\r\n"), 400);
    EXPECT_EQ(status_of("GET / HTTP/1.1\r\nHost: ab\n\r\n"), 400);
    EXPECT_EQ(status_of("GET / HTTP/1.1\r\nHost: a\r\n\n"), 400);
}

TEST(RequestHead, Host) {
    const auto with = [](const std::string& lines) {
        return status_of("GET / HTTP/1.1\r\n" + lines + "\r\n");
    };
    EXPECT_EQ(with("Host: a\r\n"), 0);
    EXPECT_EQ(with("Host: [::1]:8073\r\n"), 0);
    EXPECT_EQ(with("hOST: a\r\n"), 0);
    EXPECT_EQ(with(""), 400);
    EXPECT_EQ(with("Host:\r\n"), 400);
    EXPECT_EQ(with("Host: a\r\nHost: a\r\n"), 400);
    EXPECT_EQ(with("Host: a\r\nhost: b\r\n"), 400);
    EXPECT_EQ(with("Host: a b\r\n"), 400);
    EXPECT_EQ(with("Host: a/b\r\n"), 400);
    EXPECT_EQ(with("Host: a@b\r\n"), 400);
    EXPECT_EQ(with("Host: " + std::string(260, 'a') + "\r\n"), 0);
    EXPECT_EQ(with("Host: " + std::string(261, 'a') + "\r\n"), 400);
}

TEST(RequestHead, BodyLength) {
    const auto with = [](const std::string& lines) {
        return status_of("POST / HTTP/1.1\r\n" + HOST + lines + "\r\n");
    };
    EXPECT_EQ(with("Content-Length: 0\r\n"), 0);
    EXPECT_EQ(with("Content-Length: 18446744073709551615\r\n"), 0);
    EXPECT_EQ(with("Content-Length: 18446744073709551616\r\n"), 400);
    EXPECT_EQ(with("Content-Length: -1\r\n"), 400);
    EXPECT_EQ(with("Content-Length: +1\r\n"), 400);
    EXPECT_EQ(with("Content-Length: 0x10\r\n"), 400);
    EXPECT_EQ(with("Content-Length:\r\n"), 400);
    EXPECT_EQ(with("Content-Length: 1, 1\r\n"), 400);
    EXPECT_EQ(with("Content-Length: 1\r\nContent-Length: 1\r\n"), 400);
    EXPECT_EQ(with("Transfer-Encoding: chunked\r\n"), 0);
    EXPECT_EQ(with("Transfer-Encoding: chunked\r\nContent-Length: 1\r\n"), 400);
    EXPECT_EQ(status_of("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), 400);
    RequestHead head(LIMIT);
    head.feed("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 12\r\n\r\n");
    EXPECT_EQ(head.content_length(), 12u);
    EXPECT_FALSE(head.is_chunked());
}

TEST(RequestHead, TwelveKilobytesOfCookiesPassAndAHundredDoNot) {
    const auto with_cookies = [](size_t bytes) {
        return REQUEST_LINE + HOST + "Cookie: a=" + std::string(bytes, 'x') + "\r\n\r\n";
    };
    EXPECT_EQ(status_of(with_cookies(12'000)), 0);
    EXPECT_EQ(status_of(with_cookies(100'000)), 431);
    EXPECT_EQ(status_of(REQUEST_LINE + HOST + "A: " + std::string(100'000, 'x')), 431); // never ends
    EXPECT_EQ(status_of("GET /" + std::string(100'000, 'x')), 414);
}

TEST(RequestHead, TheLimitIsExact) {
    const std::string text = "GET / HTTP/1.1\r\nHost: a\r\nB: c\r\n\r\n";
    EXPECT_EQ(status_of(text, text.size()), 0);
    EXPECT_EQ(status_of(text, text.size() - 1), 431);
    EXPECT_EQ(status_of(text.substr(0, text.size() - 1), text.size() - 1), 431);
    EXPECT_EQ(status_of(text.substr(0, text.size() - 2), text.size() - 1), -1);
    EXPECT_EQ(status_of(text, 15), 414);
    RequestHead head(text.size());
    EXPECT_EQ(head.feed(text + std::string(100, 'x')), State::complete); // what follows does not count
    EXPECT_EQ(head.rest().size(), 100u);
}

TEST(RequestHead, ALateHeadIsRefused) {
    RequestHead head(LIMIT);
    head.feed("GET / HTTP/1.1\r\n");
    EXPECT_EQ(head.time_out(), State::refused);
    EXPECT_EQ(head.refusal().status, 408);
    EXPECT_EQ(head.feed("Host: a\r\n\r\n"), State::refused);
    RequestHead silent(LIMIT);
    EXPECT_EQ(silent.time_out(), State::refused);
}

TEST(RequestHead, ListsOfTokens) {
    RequestHead head(LIMIT);
    head.feed("GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive , Upgrade\r\nconnection: X\r\n\r\n");
    EXPECT_TRUE(head.has_token("connection", "upgrade"));
    EXPECT_TRUE(head.has_token("Connection", "keep-alive"));
    EXPECT_TRUE(head.has_token("Connection", "x"));
    EXPECT_FALSE(head.has_token("Connection", "keep"));
    EXPECT_FALSE(head.has_token("Upgrade", "websocket"));
    EXPECT_EQ(head.joined("connection"), "keep-alive , Upgrade, X");
}

TEST(RequestHead, Cookies) {
    RequestHead head(LIMIT);
    head.feed("GET / HTTP/1.1\r\nHost: a\r\nCookie: a=1; session_id=first;session_id=second\r\n"
              "Cookie:\r\nCookie: A = 2 ; novalue; eq=a=b\r\ncookie: session_id=third\r\n\r\n");
    ASSERT_EQ(head.state(), State::complete);
    EXPECT_EQ(head.cookie("session_id"), "first");
    EXPECT_EQ(head.cookie("a"), "1");
    EXPECT_EQ(head.cookie("A"), "2");
    EXPECT_EQ(head.cookie("eq"), "a=b");
    EXPECT_EQ(head.cookie("novalue"), std::nullopt);
    EXPECT_EQ(head.cookie("session"), std::nullopt);
    EXPECT_EQ(head.cookies(),
              "a=1; session_id=first;session_id=second; A = 2 ; novalue; eq=a=b; session_id=third");
}

} // namespace
} // namespace odoo_bus
