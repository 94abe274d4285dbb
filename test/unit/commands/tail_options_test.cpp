// The command line of tail.
#include "commands/tail_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace odoo_bus {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TailOptions url(const std::string& text) {
    TailOptions options;
    std::string error;
    EXPECT_TRUE(parse_url(text, options, error)) << error;
    return options;
}

TailOptions parse(const std::vector<std::string>& arguments) {
    const auto parsed = parse_tail_options(arguments);
    const auto* error = std::get_if<OptionsError>(&parsed);
    EXPECT_EQ(error, nullptr) << error->message;
    return error ? TailOptions{} : std::get<TailOptions>(parsed);
}

std::string error_of(const std::vector<std::string>& arguments) {
    const auto parsed = parse_tail_options(arguments);
    const auto* error = std::get_if<OptionsError>(&parsed);
    return error ? error->message : "no error";
}

TEST(TailOptions, Urls) {
    const TailOptions full = url("ws://example.com:8073/bus/websocket?version=19.0-2");
    EXPECT_EQ(full.address, "example.com");
    EXPECT_EQ(full.port, 8073);
    EXPECT_EQ(full.host, "example.com:8073");
    EXPECT_EQ(full.target, "/bus/websocket?version=19.0-2");
    EXPECT_FALSE(full.tls);

    const TailOptions bare = url("wss://example.com");
    EXPECT_EQ(bare.port, 443);
    EXPECT_EQ(bare.host, "example.com");
    EXPECT_EQ(bare.target, "/websocket");
    EXPECT_TRUE(bare.tls);
    EXPECT_EQ(url("ws://a/").target, "/websocket");
    EXPECT_EQ(url("ws://a?x=1").target, "/websocket?x=1");
    EXPECT_EQ(url("ws://a").port, 80);

    const TailOptions v6 = url("ws://[::1]:8073/websocket");
    EXPECT_EQ(v6.address, "::1");
    EXPECT_EQ(v6.host, "[::1]:8073");
    EXPECT_EQ(v6.port, 8073);
    EXPECT_EQ(url("ws://[::1]").address, "::1");

    const TailOptions socket = url("ws+unix:/run/bus.sock");
    EXPECT_EQ(socket.address, "+/run/bus.sock");
    EXPECT_EQ(socket.target, "/websocket");
    EXPECT_EQ(url("ws+unix:///run/bus.sock").address, "+/run/bus.sock");
}

TEST(TailOptions, BadUrls) {
    for (const char* bad :
         {"", "x", "http://a", "ws:/a", "ws://", "ws:///x", "ws://a:", "ws://a:0", "ws://a:65536",
          "ws://a:80x", "ws://a b", "ws://a/\n", "ws://u@a", "ws://a/#x", "ws+unix:", "ws+unix:x"}) {
        TailOptions options;
        std::string error;
        EXPECT_FALSE(parse_url(bad, options, error)) << bad;
        EXPECT_THAT(error, HasSubstr("is not a WebSocket's address")) << bad;
    }
}

TEST(TailOptions, CommandLine) {
    const TailOptions options = parse(
        {"ws://a", "one", "--count", "3", "--json", "two", "--cookie", "session_id=x; a=b", "--last=7"});
    EXPECT_THAT(options.channels, ElementsAre("one", "two"));
    EXPECT_EQ(options.count, 3u);
    EXPECT_EQ(options.last, 7);
    EXPECT_TRUE(options.json);
    EXPECT_FALSE(options.insecure);
    EXPECT_EQ(options.cookie, "session_id=x; a=b");
    EXPECT_THAT(parse({"ws://a"}).channels, IsEmpty());
    EXPECT_EQ(parse({"-n", "5", "ws://a"}).count, 5u);
    EXPECT_THAT(parse({"ws://a", "--", "-x", "[\"db\",\"y\"]"}).channels,
                ElementsAre("-x", "[\"db\",\"y\"]"));
}

TEST(TailOptions, Mistakes) {
    EXPECT_THAT(error_of({}), HasSubstr("URL: none is given"));
    EXPECT_THAT(error_of({"ws://a", "--count", "0"}), HasSubstr("--count"));
    EXPECT_THAT(error_of({"ws://a", "--count", "x"}), HasSubstr("--count"));
    EXPECT_THAT(error_of({"ws://a", "--last", "-1"}), HasSubstr("--last"));
    EXPECT_THAT(error_of({"ws://a", "\xff"}), HasSubstr("CHANNEL: \"\\xff\" is not UTF-8"));
    EXPECT_THAT(error_of({"ws://a", "--nonsense"}), HasSubstr("--nonsense"));
    EXPECT_THAT(error_of({"ws://a", "--cookie", "a=b\r\nEvil: 1"}), HasSubstr("--cookie"));
}

TEST(TailOptions, Help) {
    const auto parsed = parse_tail_options({"ws://a", "-h"});
    const std::string help = std::get<OptionsText>(parsed).text;
    for (const char* part :
         {"odoo-bus-gateway tail", "--count", "--json", "--cookie", "--last", "sent_at", "Exit code"})
        EXPECT_THAT(help, HasSubstr(part));
}

} // namespace
} // namespace odoo_bus
