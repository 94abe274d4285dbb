// The answer of an HTTP server: however it is cut into pieces, and whatever it holds.
#include "http/http_answer.h"

#include <algorithm>
#include <utility>

#include <gtest/gtest.h>

namespace odoo_bus {
namespace {

using State = HttpAnswer::State;

struct Read {
    State state;
    int status;
    std::string body;
};

Read read(std::string_view bytes, size_t step, bool ends = true) {
    HttpAnswer answer({.head_bytes = 512, .body_bytes = 1000});
    for (size_t at = 0; at < bytes.size(); at += step)
        answer.feed(bytes.substr(at, step));
    if (ends)
        answer.end();
    return {answer.state(), answer.status(), answer.body()};
}

void expect_body(const std::string& bytes, const std::string& body, bool ends = true) {
    for (const size_t step : {size_t{1}, size_t{2}, size_t{3}, size_t{7}, bytes.size()}) {
        const Read result = read(bytes, step, ends);
        EXPECT_EQ(result.state, State::complete) << bytes << " in steps of " << step;
        EXPECT_EQ(result.body, body) << step;
    }
}

void expect_broken(const std::string& bytes) {
    for (const size_t step : {size_t{1}, size_t{5}, bytes.size() + 1})
        EXPECT_EQ(read(bytes, step).state, State::broken) << bytes;
}

TEST(HttpAnswer, ByLengthByChunksAndToTheEnd) {
    expect_body("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", "hello", false);
    expect_body("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello, and more", "hello", false);
    expect_body("HTTP/1.1 200\r\n\r\nhello", "hello");
    expect_body("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n",
                "hello", false);
    expect_body("HTTP/1.1 204 No Content\r\n\r\n", "", false);
    expect_body("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "", false);
}

TEST(HttpAnswer, AnotherProtocolBegins) {
    const std::string bytes =
        "HTTP/1.1 101 Switching Protocols\r\nContent-Length: 5\r\nA: b\r\n\r\n\x81\x01x";
    for (const size_t step : {size_t{1}, size_t{7}, bytes.size()}) {
        HttpAnswer answer({.may_switch = true});
        size_t at = 0;
        while (answer.state() == State::need_more)
            answer.feed(std::string_view(bytes).substr(std::exchange(at, at + step), step));
        EXPECT_EQ(answer.status(), 101);
        EXPECT_EQ(answer.header("a"), "b");
        // What followed in the same piece.
        EXPECT_EQ(answer.body(),
                  bytes.substr(bytes.find('\x81'), std::min(at, bytes.size()) - bytes.find('\x81')));
    }
    EXPECT_EQ(read(bytes, 1).state, State::broken); // it was not asked for
    HttpAnswer other({.may_switch = true});
    EXPECT_EQ(other.feed("HTTP/1.1 100 Continue\r\n\r\n"), State::broken);
}

TEST(HttpAnswer, WhatIsCutShortIsNone) {
    expect_broken("");
    expect_broken("HTTP/1.0 200 OK\r\nContent-Le");
    expect_broken("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhell");
    expect_broken("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n");
}

TEST(HttpAnswer, WhatIsNoHttpIsNone) {
    for (const char* head :
         {"HTTP/2 200 OK", "HTTP/1.1 20 OK", "HTTP/1.1 2000 OK", "HTTP/1.1 100 Continue", "HTTP/1.1 xyz",
          "garbage", "HTTP/1.1 200 OK\r\nno colon", "HTTP/1.1 200 OK\r\n: x",
          "HTTP/1.1 200 OK\r\nA: b\r\n folded", "HTTP/1.1 200 OK\r\nA: b\nC: d",
          "HTTP/1.1 200 OK\r\nContent-Length: -1",
          "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2",
          "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999",
          "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip", "HTTP/1.1 200 OK\r\nContent-Encoding: gzip",
          "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked"})
        expect_broken(std::string(head) + "\r\n\r\nx");
    for (const char* chunks : {"x\r\nhel\r\n", "-1\r\n", "3\r\nhello\r\n", "ffffffffffffffffff\r\n", "\r\n"})
        expect_broken(std::string("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n") + chunks +
                      "0\r\n\r\n");
}

TEST(HttpAnswer, IsBounded) {
    expect_broken("HTTP/1.1 200 OK\r\nX: " + std::string(600, 'x') + "\r\n\r\n");
    expect_broken("HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n" + std::string(1001, 'x'));
    expect_broken("HTTP/1.1 200 OK\r\n\r\n" + std::string(1001, 'x'));
    expect_broken("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + std::string(2000, '1'));
    std::string chunks = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (int i = 0; i < 11; ++i)
        chunks += "64\r\n" + std::string(100, 'x') + "\r\n";
    expect_broken(chunks + "0\r\n\r\n");
}

// The end of the line may come with its beginning, or later.
TEST(HttpAnswer, ALineOfAChunkIsBoundedHoweverItIsCut) {
    const std::string head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    expect_body(head + "1;" + std::string(1022, 'a') + "\r\nx\r\n0\r\n\r\n", "x", false);
    expect_broken(head + "1;" + std::string(1023, 'a') + "\r\nx\r\n0\r\n\r\n");
    // What stands behind a line is no part of it.
    expect_body(head + "2\r\na;\r\n1\r\n;\r\n0\r\n\r\n", "a;;", false);
}

TEST(HttpAnswer, Headers) {
    HttpAnswer answer({});
    answer.feed("HTTP/1.0 200 OK\r\nSet-Cookie: a=1\r\nset-cookie:  b=2 \r\nContent-Length: 0\r\n\r\n");
    EXPECT_EQ(answer.header("SET-COOKIE"), "a=1");
    EXPECT_EQ(answer.all("Set-Cookie"), (std::vector<std::string_view>{"a=1", "b=2"}));
    EXPECT_EQ(answer.header("x"), std::nullopt);
}

} // namespace
} // namespace odoo_bus
