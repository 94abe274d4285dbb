// Addresses and networks: how they are read, and what is inside of what.
#include "http/address.h"

#include <gtest/gtest.h>

namespace odoo_bus {
namespace {

bool contains(const char* network, const char* address) {
    return Network::parse(network)->contains(*Address::parse(address));
}

TEST(Address, BothFamiliesAndNothingElse) {
    EXPECT_EQ(Address::parse("192.0.2.1")->text(), "192.0.2.1");
    EXPECT_EQ(Address::parse("2001:DB8::1")->text(), "2001:db8::1");
    EXPECT_EQ(Address::parse("::ffff:192.0.2.1"), Address::parse("192.0.2.1"));
    for (const char* text : {"", "localhost", "192.0.2", "192.0.2.1 ", "192.0.2.1:80", "[::1]", "unknown",
                             "0xc0.0.2.1", "00000000000000000000000000000000000000000000000000001"})
        EXPECT_FALSE(Address::parse(text)) << text;
    EXPECT_FALSE(Address::parse(std::string_view("192.0.2.1\0", 10)));
}

TEST(Address, AsProxiesForwardIt) {
    const auto v4 = Address::parse("192.0.2.1"), v6 = Address::parse("2001:db8::1");
    for (const char* text :
         {"192.0.2.1", "192.0.2.1:51234", "192.0.2.1:0", "::ffff:192.0.2.1", "[::ffff:192.0.2.1]:1"})
        EXPECT_EQ(Address::parse_forwarded(text), v4) << text;
    for (const char* text :
         {"2001:db8::1", "[2001:db8::1]", "[2001:db8::1]:443", "2001:DB8::1%eth0", "[2001:db8::1%3]:1"})
        EXPECT_EQ(Address::parse_forwarded(text), v6) << text;
    for (const char* text :
         {"", "unknown", "_hidden", "192.0.2.1:", "192.0.2.1:http", "192.0.2.1:65536", "192.0.2.1:1:2",
          "[192.0.2.1]", "[192.0.2.1]:80", "[2001:db8::1", "[2001:db8::1]443", "[2001:db8::1]:", "[]", "[]:1",
          ":80", "%eth0", "\"[2001:db8::1]:1\""})
        EXPECT_FALSE(Address::parse_forwarded(text)) << text;
}

TEST(Network, ContainsByPrefixWithinOneFamily) {
    EXPECT_TRUE(contains("127.0.0.0/8", "127.255.0.1"));
    EXPECT_FALSE(contains("127.0.0.0/8", "128.0.0.1"));
    EXPECT_TRUE(contains("192.0.2.0/25", "192.0.2.127"));
    EXPECT_FALSE(contains("192.0.2.0/25", "192.0.2.128"));
    EXPECT_TRUE(contains("2001:db8::/33", "2001:db8:7fff::1"));
    EXPECT_FALSE(contains("2001:db8::/33", "2001:db8:8000::1"));
    EXPECT_TRUE(contains("::1", "::1"));
    EXPECT_TRUE(contains("0.0.0.0/0", "203.0.113.9"));
    EXPECT_FALSE(contains("0.0.0.0/0", "2001:db8::1"));
    EXPECT_FALSE(contains("::/0", "192.0.2.1"));
}

TEST(Network, IsReadStrictly) {
    for (const char* text : {"192.0.2.1/24", "192.0.2.0/33", "192.0.2.0/", "192.0.2.0/-1", "192.0.2.0/8x",
                             "::1/0", "2001:db8::/129", "/8", "all"})
        EXPECT_FALSE(Network::parse(text)) << text;
    EXPECT_EQ(Network::parse("192.0.2.0/24")->text(), "192.0.2.0/24");
    EXPECT_EQ(Network::parse("::1")->text(), "::1/128");
}

} // namespace
} // namespace odoo_bus
