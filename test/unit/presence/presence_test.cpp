// Who counts as a member, and where.
#include "presence/presence.h"

#include <gtest/gtest.h>

namespace odoo_bus {
namespace {

TEST(PresenceTest, Members) {
    EXPECT_TRUE(is_member_name("ann"));
    EXPECT_TRUE(is_member_name("Zo\xc3\xab"));
    EXPECT_TRUE(is_member_name(std::string(255, 'x')));
    EXPECT_FALSE(is_member_name(""));
    EXPECT_FALSE(is_member_name(std::string(256, 'x')));
    EXPECT_FALSE(is_member_name("a\nb"));
    EXPECT_FALSE(is_member_name(std::string_view("a\0b", 3)));
    EXPECT_FALSE(is_member_name("a\x7f"));
    EXPECT_FALSE(is_member_name("\xff"));
}

TEST(PresenceTest, Channels) {
    const std::vector<std::string> all{"*"};
    EXPECT_TRUE(is_presence_channel(R"(["db","a"])", "db", all));
    EXPECT_TRUE(is_presence_channel(R"(["db","res.partner",3])", "db", all));
    EXPECT_TRUE(is_presence_channel(R"(["db","res.partner",3,"x"])", "db", all));
    EXPECT_TRUE(is_presence_channel(R"(["db","\u00e9"])", "db", all));
    // Whatever a function in SQL may return.
    for (const char* channel : {"",
                                "x",
                                "null",
                                "{}",
                                "[]",
                                R"(["db"])",
                                R"(["db",""])",
                                R"(["db",3])",
                                R"(["db","a","b"])",
                                R"(["db","a",1.5])",
                                R"(["db","a",3,4])",
                                R"(["db","a",3,"x","y"])",
                                R"(["other","a"])",
                                R"(["db", "a"])",
                                R"(["db","a"] )",
                                R"(["db",["a"]])",
                                R"(["db","\u0000"])",
                                R"(["db","\ud800"])",
                                R"(["db","a",99999999999999999999])",
                                "[\"db\",\"\xc3\xa9\"]",
                                "[\"db\",\"\xff\"]"})
        EXPECT_FALSE(is_presence_channel(channel, "db", all)) << channel;
    EXPECT_TRUE(is_presence_channel("[\"db\",\"" + std::string(1'490, 'a') + "\"]", "db", all));
    EXPECT_FALSE(is_presence_channel("[\"db\",\"" + std::string(1'500, 'a') + "\"]", "db", all));
    EXPECT_FALSE(is_presence_channel(std::string(1'000, '['), "db", all));
}

TEST(PresenceTest, Patterns) {
    const std::vector<std::string> some{"auth_service", "room_*"};
    EXPECT_TRUE(is_presence_channel(R"(["db","auth_service"])", "db", some));
    EXPECT_TRUE(is_presence_channel(R"(["db","room_7"])", "db", some));
    EXPECT_TRUE(is_presence_channel(R"(["db","room_"])", "db", some));
    EXPECT_FALSE(is_presence_channel(R"(["db","room"])", "db", some));
    EXPECT_FALSE(is_presence_channel(R"(["db","desk2"])", "db", some));
    EXPECT_FALSE(is_presence_channel(R"(["db","a"])", "db", {}));
}

} // namespace
} // namespace odoo_bus
