// Which gateway a client comes from, and whether its position is ours.
#include <gtest/gtest.h>
#include <spdlog/fmt/fmt.h>

#include "base/clock.h"
#include "clients/moved_clients.h"
#include "http/gateway_cookie.h"

using namespace odoo_bus;

TEST(GatewayCookie, OfAClientThatStays) {
    const Provenance fresh = provenance_of("", "aa");
    EXPECT_FALSE(fresh.named);
    EXPECT_EQ(fresh.mover, 0u);
    EXPECT_EQ(set_gateway_cookie(fresh, "aa"), "odoo_bus_gateway=aa; Path=/; HttpOnly; SameSite=Lax");
    EXPECT_TRUE(provenance_of("aa", "aa").named);
    EXPECT_EQ(set_gateway_cookie(provenance_of("aa", "aa"), "aa"), "");
}

TEST(GatewayCookie, OfAClientThatMovesHasANumberThatItKeeps) {
    const Provenance moved = provenance_of("aa", "bb");
    EXPECT_FALSE(moved.named);
    ASSERT_NE(moved.mover, 0u);
    const std::string cookie = "bb." + std::to_string(moved.mover);
    EXPECT_EQ(set_gateway_cookie(moved, "bb"),
              "odoo_bus_gateway=" + cookie + "; Path=/; HttpOnly; SameSite=Lax");
    EXPECT_TRUE(provenance_of(cookie, "bb").named);
    EXPECT_EQ(provenance_of(cookie, "bb").mover, moved.mover);
    EXPECT_NE(provenance_of(cookie, "aa").mover, moved.mover) << "back again is a move of its own";
    EXPECT_NE(provenance_of("aa", "bb").mover, moved.mover) << "somebody else";
}

// The value of a Set-Cookie.
std::string value_of(const std::string& set_cookie) {
    const size_t begin = set_cookie.find('=') + 1;
    return set_cookie.substr(begin, set_cookie.find(';') - begin);
}

TEST(GatewayCookie, SaysWhenAClientHasMoved) {
    const WallTime before = WallClock::now() - std::chrono::seconds(1);
    const Provenance moved = provenance_of("aa", "bb");
    EXPECT_GT(moved.moved_at(), before);
    EXPECT_LE(moved.moved_at(), WallClock::now());
    EXPECT_EQ(provenance_of("bb.4294967296000", "bb").moved_at(), wall_time(1'000'000'000));
}

TEST(GatewayCookie, NamesAPositionThatCountsInThisProcessOnly) {
    const std::string stays = value_of(set_gateway_cookie({.named = true}, "aa", 42));
    EXPECT_EQ(provenance_of(stays, "aa").position, 42u);
    EXPECT_EQ(provenance_of(stays, "aa").mover, 0u);
    const std::string moves = value_of(set_gateway_cookie({.named = true, .mover = 7}, "aa", 43));
    EXPECT_EQ(provenance_of(moves, "aa").position, 43u);
    EXPECT_EQ(provenance_of(moves, "aa").mover, 7u);
    EXPECT_EQ(set_gateway_cookie(provenance_of(moves, "aa"), "aa"), "") << "it does no harm";
    EXPECT_EQ(provenance_of(moves, "bb").position, 0u);
    const Provenance former = provenance_of("aa.7@1.43", "aa");
    EXPECT_TRUE(former.named);
    EXPECT_EQ(former.mover, 7u);
    EXPECT_EQ(former.position, 0u);
}

TEST(GatewayCookie, ForeignValuesAreThoseOfAnotherGateway) {
    for (const char* const cookie :
         {"b", "bb.", "bb.x", "bb.7x", "bb.-7", "bb7", "bb.0", "bb.99999999999999999999", "bb@", "bb@7",
          "bb@7.", "bb@7.x", "bb@7.8.9", "bb@7.8x", "bb.7@", "bb@7.8.", "bb@0.8", "bb@7.0"}) {
        EXPECT_FALSE(provenance_of(cookie, "bb").named) << cookie;
        EXPECT_NE(provenance_of(cookie, "bb").mover, 0u) << cookie;
    }
}

TEST(MovedClients, AMoversLastIsTheOthersUntilItChanges) {
    MovedClients moved_clients;
    EXPECT_FALSE(moved_clients.has_gone_on(7, 100));
    EXPECT_FALSE(moved_clients.has_gone_on(7, 100)) << "cut before anything was given to it";
    EXPECT_TRUE(moved_clients.has_gone_on(7, 90));
    EXPECT_FALSE(moved_clients.has_gone_on(8, 90)) << "somebody else";
    for (uint64_t other = 1000; other < 101'000; ++other)
        moved_clients.has_gone_on(other, 1);
    EXPECT_FALSE(moved_clients.has_gone_on(7, 80)) << "forgotten: gets some again rather than loses any";
}

TEST(MovedClients, GoOnInAnotherProcess) {
    MovedClients before, after;
    before.has_gone_on(7, 100);
    before.has_gone_on(8, 50);
    EXPECT_FALSE(before.is_handed_over());
    for (const auto& [mover, last] : before.hand_over())
        after.has_gone_on(mover, last);
    EXPECT_TRUE(before.is_handed_over()) << "who comes now is not known to the other process";
    EXPECT_FALSE(after.has_gone_on(7, 100));
    EXPECT_TRUE(after.has_gone_on(8, 51));
    before.take_back();
    EXPECT_FALSE(before.is_handed_over());
}

TEST(GatewayCookie, PositionsGoOnInAnotherProcess) {
    const uint64_t own = positions_number(), former = own == 77 ? 78 : 77;
    const std::string cookie = fmt::format("aa@{}.43", former);
    EXPECT_EQ(provenance_of(cookie, "aa").position, 0u) << "of a process that is none of ours";
    inherit_positions_number(former);
    EXPECT_EQ(provenance_of(cookie, "aa").position, 43u);
    EXPECT_NE(set_gateway_cookie({.named = true}, "aa", 44).find(cookie.substr(0, cookie.size() - 2) + "44"),
              std::string::npos);
    inherit_positions_number(own);
    EXPECT_EQ(provenance_of(cookie, "aa").position, 0u);
}
