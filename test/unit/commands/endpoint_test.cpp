// Servers that commands connect to, as URLs and listeners name them.
#include "commands/endpoint.h"

#include <gtest/gtest.h>

namespace odoo_bus {
namespace {

Endpoint url(const std::string& text) {
    const auto endpoint = Endpoint::of_url(text);
    EXPECT_TRUE(endpoint) << text;
    return endpoint.value_or(Endpoint{});
}

TEST(TailEndpoint, Urls) {
    const Endpoint full = url("ws://example.com:8073/bus/websocket?version=19.0-2");
    EXPECT_EQ(full.address, "example.com");
    EXPECT_EQ(full.port, 8073);
    EXPECT_EQ(full.host, "example.com:8073");
    EXPECT_EQ(full.name(), "example.com");
    EXPECT_EQ(full.origin(), "http://example.com:8073");
    EXPECT_EQ(full.target, "/bus/websocket?version=19.0-2");
    EXPECT_FALSE(full.tls);

    for (const char* secure : {"wss://example.com", "https://example.com"}) {
        const Endpoint bare = url(secure);
        EXPECT_EQ(bare.port, 443);
        EXPECT_EQ(bare.host, "example.com");
        EXPECT_EQ(bare.origin(), "https://example.com");
        EXPECT_EQ(bare.target, "/websocket");
        EXPECT_TRUE(bare.tls);
    }
    EXPECT_EQ(url("ws://a/").target, "/websocket");
    EXPECT_EQ(url("ws://a?x=1").target, "/websocket?x=1");
    EXPECT_EQ(url("http://a").port, 80);

    const Endpoint v6 = url("ws://[::1]:8073/websocket");
    EXPECT_EQ(v6.address, "::1");
    EXPECT_EQ(v6.host, "[::1]:8073");
    EXPECT_EQ(v6.name(), "[::1]");
    EXPECT_EQ(v6.port, 8073);
    EXPECT_EQ(url("ws://[::1]").address, "::1");

    const Endpoint socket = url("ws+unix:/run/bus.sock");
    EXPECT_EQ(socket.path, "/run/bus.sock");
    EXPECT_EQ(socket.host, "localhost");
    EXPECT_EQ(socket.target, "/websocket");
    EXPECT_EQ(url("ws+unix:///run/bus.sock").path, "/run/bus.sock");
}

TEST(TailEndpoint, WrongUrls) {
    for (const char* wrong :
         {"", "x", "ftp://a", "ws:/a", "ws://", "ws:///x", "ws://a:", "ws://a:0", "ws://a:65536",
          "ws://a:80x", "ws://a b", "ws://a/\n", "ws://u@a", "ws://a/#x", "ws+unix:", "ws+unix:x"})
        EXPECT_FALSE(Endpoint::of_url(wrong)) << wrong;
}

TEST(TailEndpoint, Listeners) {
    const Endpoint all = Endpoint::of({"0.0.0.0", 8073, ""});
    EXPECT_EQ(all.address, "127.0.0.1");
    EXPECT_EQ(all.host, "0.0.0.0:8073");
    EXPECT_EQ(Endpoint::of({"::", 8073, ""}).address, "::1");
    EXPECT_EQ(Endpoint::of({"192.0.2.1", 8073, ""}).address, "192.0.2.1");
    const Endpoint socket = Endpoint::of({"", 0, "/run/bus.sock"});
    EXPECT_EQ(socket.path, "/run/bus.sock");
    EXPECT_EQ(socket.host, "localhost");
}

} // namespace
} // namespace odoo_bus
