// The command line of tail.
#include "commands/tail_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace odoo_bus {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

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

TEST(TailOptions, Url) {
    const TailOptions options = parse({"wss://example.com:8073/bus"});
    EXPECT_EQ(options.url, "wss://example.com:8073/bus");
    EXPECT_EQ(options.endpoint.host, "example.com:8073");
    for (const char* wrong : {"x", "http://a", "ws://a:0"})
        EXPECT_THAT(error_of({wrong}), HasSubstr("is not the address of a WebSocket")) << wrong;
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
