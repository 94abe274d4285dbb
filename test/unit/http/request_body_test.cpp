// The body of a request: of an announced length, and in chunks.
#include "http/request_body.h"

#include <string>

#include <gtest/gtest.h>

using namespace odoo_bus;

namespace {

using State = RequestBody::State;

constexpr size_t LIMIT = 20'000;

// The same however it is cut.
State read(const std::string& text, std::string& bytes) {
    RequestBody whole = RequestBody::in_chunks(LIMIT);
    whole.feed(text);
    for (const size_t step : {1, 2, 3, 7}) {
        RequestBody pieces = RequestBody::in_chunks(LIMIT);
        for (size_t at = 0; at < text.size(); at += step)
            pieces.feed(std::string_view(text).substr(at, step));
        EXPECT_EQ(pieces.state(), whole.state()) << text.substr(0, 100);
        EXPECT_EQ(pieces.bytes(), whole.bytes());
    }
    bytes = whole.bytes();
    return whole.state();
}

void expect_body(const std::string& text, const std::string& expected) {
    std::string bytes;
    EXPECT_EQ(read(text, bytes), State::complete) << text.substr(0, 100);
    EXPECT_EQ(bytes, expected);
}

void expect(State state, const std::string& text) {
    std::string bytes;
    EXPECT_EQ(read(text, bytes), state) << text.substr(0, 100);
}

TEST(RequestBody, HasItsLengthAndNoMore) {
    RequestBody body = RequestBody::of_length(5);
    EXPECT_EQ(body.feed("abc"), State::need_more);
    EXPECT_EQ(body.feed("defgh"), State::complete);
    EXPECT_EQ(body.feed("more"), State::complete);
    EXPECT_EQ(body.bytes(), "abcde");
    EXPECT_EQ(RequestBody::of_length(0).state(), State::complete);
}

TEST(RequestBody, Chunks) {
    expect_body("0\r\n\r\n", "");
    expect_body("5\r\nhello\r\n0\r\n\r\n", "hello");
    expect_body("3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n", "hello");
    expect_body("3\r\n\r\n\n\r\n0\r\n\r\n", "\r\n\n");
    expect_body("A\r\n0123456789\r\n000\r\n\r\n", "0123456789");
    expect_body("000000000000000000000a\r\n0123456789\r\n0\r\n\r\n", "0123456789");
    expect_body("1\r\nx\r\n0\r\n\r\nGET / HTTP/1.1\r\n", "x"); // what follows is not the body's
}

TEST(RequestBody, ExtensionsAndTrailersAreDropped) {
    expect_body("2;a\r\nab\r\n2 ; b=c;d=\"e f\"\r\ncd\r\n0;last\r\n\r\n", "abcd");
    expect_body("2\r\nab\r\n0\r\nDigest: x\r\nContent-Length: 7\r\n\r\n", "ab");
}

TEST(RequestBody, ChunksThatServersReadDifferently) {
    for (const char* text : {"\r\n",
                             "x\r\n",
                             "-1\r\nx\r\n",
                             "+1\r\nx\r\n",
                             "0x1\r\nx\r\n",
                             "1 \r\nx\r\n",
                             " 1\r\nx\r\n",
                             "1 1\r\nx\r\n",
                             ";a\r\n",
                             "1\nx\n0\n\n",
                             "1\n",
                             "1\rx\r\n",
                             "1\r\r\nx",
                             "1;a\rb\r\nx\r\n",
                             "1;a\nb\r\nx\r\n",
                             "1\r\nxy\r\n0\r\n\r\n",
                             "1\r\nx\n0\r\n\r\n",
                             "1\r\nx0\r\n\r\n",
                             "0\r\nno trailer\r\n\r\n",
                             "0\r\n: x\r\n\r\n",
                             "0\r\nA: b\n\r\n",
                             "0\r\nA: \x01\r\n\r\n"})
        expect(State::malformed, text);
}

TEST(RequestBody, IsUnfinishedUntilItsEnd) {
    for (const char* text : {"", "1", "1\r\n", "1\r\nx", "1\r\nx\r\n", "1\r\nx\r\n0\r\n", "0\r\nA: b\r\n"})
        expect(State::need_more, text);
}

TEST(RequestBody, IsBounded) {
    const std::string full(LIMIT, 'x');
    expect_body("4e20\r\n" + full + "\r\n0\r\n\r\n", full);
    expect(State::too_large, "4e21\r\n");
    expect(State::too_large, "4e20\r\n" + full + "\r\n1\r\n");
    expect(State::too_large, "ffffffffffffffff\r\n");
    expect(State::too_large, "10000000000000001\r\n"); // of 65 bits
    expect(State::malformed, std::string(1'030, '0'));
    expect(State::need_more, "1;" + std::string(1'000, 'a'));
    expect(State::malformed, "1;" + std::string(1'030, 'a'));
}

TEST(RequestBody, WhatIsNotTheBodyIsBoundedToo) {
    std::string small; // chunks of one byte are read
    for (size_t i = 0; i < LIMIT; ++i)
        small += "1\r\nx\r\n";
    expect_body(small + "0\r\n\r\n", std::string(LIMIT, 'x'));

    std::string extensions;
    for (int i = 0; i < 50; ++i)
        extensions += "1;" + std::string(900, 'a') + "\r\nx\r\n";
    expect(State::malformed, extensions);

    std::string trailers = "0\r\n";
    for (int i = 0; i < 50; ++i)
        trailers += "A: " + std::string(900, 'a') + "\r\n";
    expect(State::malformed, trailers);
}

TEST(RequestBody, HoldsWhatHasCome) {
    RequestBody body = RequestBody::of_length(1 << 20);
    EXPECT_LT(body.held_bytes(), 100u) << "of a length that was only announced";
    body.feed(std::string(100'000, 'x'));
    EXPECT_GE(body.held_bytes(), 100'000u);
    EXPECT_LE(body.held_bytes(), 250'000u);
}

} // namespace
