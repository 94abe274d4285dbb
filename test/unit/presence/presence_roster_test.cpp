// Who is to be written into bus_presence, and when who has left is to go.
#include "presence/presence_roster.h"

#include <algorithm>
#include <map>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "seed.h"

namespace odoo_bus {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using Pair = PresenceRoster::Pair;

constexpr Duration SECOND = std::chrono::seconds(1);
constexpr Duration GRACE = 10 * SECOND;

class PresenceRosterTest : public testing::Test {
protected:
    PresenceRoster roster{{.rows = 5, .members = 3, .grace = GRACE}};
    Monotonic now = Monotonic(1'000 * SECOND);

    size_t set(uint64_t connection, const std::string& member, std::vector<std::string> channels) {
        return roster.set(connection, member, channels, now);
    }
    // As texts: "+a ann", "=a ann" (again, quietly), "-a ann".
    std::vector<std::string> write(size_t limit = 100) {
        const PresenceRoster::Changes changes = roster.changes(limit, now);
        roster.written(changes);
        return texts(changes);
    }
    static std::vector<std::string> texts(const PresenceRoster::Changes& changes) {
        std::vector<std::string> texts;
        for (const auto& [who, quiet] : changes.joins)
            texts.push_back((quiet ? "=" : "+") + who.first + " " + who.second);
        for (const auto& [channel, member] : changes.leaves)
            texts.push_back("-" + channel + " " + member);
        return texts;
    }
};

TEST_F(PresenceRosterTest, FirstConnectionJoinsAndLastOneLeaves) {
    set(1, "ann", {"a", "b", "a"});
    set(2, "ann", {"a"});
    EXPECT_THAT(write(), ElementsAre("+a ann", "+b ann"));
    EXPECT_EQ(roster.stored(), 2u);
    roster.gone(1, now);
    now += GRACE;
    EXPECT_THAT(write(), ElementsAre("-b ann"));
    roster.gone(2, now);
    now += GRACE - Duration(1);
    EXPECT_THAT(write(), IsEmpty());
    now += Duration(1);
    EXPECT_THAT(write(), ElementsAre("-a ann"));
    EXPECT_EQ(roster.rows(), 0u);
    roster.gone(2, now);
}

TEST_F(PresenceRosterTest, WhoComesBackInTimeHasNotLeft) {
    set(1, "ann", {"a"});
    write();
    for (uint64_t connection = 1; connection < 50; ++connection) {
        roster.gone(connection, now);
        now += GRACE - Duration(1);
        EXPECT_THAT(write(), IsEmpty());
        set(connection + 1, "ann", {"a"});
    }
    now += 2 * GRACE;
    EXPECT_THAT(write(), IsEmpty());
}

TEST_F(PresenceRosterTest, AnotherSubscriptionKeepsWhatItKeeps) {
    set(1, "ann", {"a", "b"});
    write();
    set(1, "ann", {"b", "c"});
    EXPECT_THAT(write(), ElementsAre("+c ann"));
    now += GRACE;
    EXPECT_THAT(write(), ElementsAre("-a ann"));
    set(1, "bob", {"b"});
    EXPECT_THAT(write(), ElementsAre("+b bob"));
    now += GRACE;
    EXPECT_EQ(write().size(), 2u);
}

TEST_F(PresenceRosterTest, ComesBackWhileItsLeaveIsWritten) {
    set(1, "ann", {"a"});
    write();
    roster.gone(1, now);
    now += GRACE;
    const auto changes = roster.changes(9, now);
    EXPECT_THAT(texts(changes), ElementsAre("-a ann"));
    set(2, "ann", {"a"});
    roster.written(changes);
    EXPECT_THAT(write(), ElementsAre("+a ann"));
}

TEST_F(PresenceRosterTest, LeavesWhileItsJoinIsWritten) {
    set(1, "ann", {"a"});
    const auto changes = roster.changes(9, now);
    roster.gone(1, now);
    now += GRACE;
    roster.written(changes);
    EXPECT_THAT(write(), ElementsAre("-a ann"));
}

TEST_F(PresenceRosterTest, HasPlaceForSoMany) {
    EXPECT_EQ(set(1, "ann", {"a", "b"}), 0u);
    EXPECT_EQ(set(2, "bob", {"a"}), 0u);
    EXPECT_EQ(set(3, "cem", {"a"}), 0u);
    EXPECT_EQ(set(4, "dan", {"a", "b", "c"}), 2u); // a has three members, and these are five rows
    EXPECT_EQ(roster.rows(), 5u);
    EXPECT_EQ(set(5, "ann", {"a"}), 0u);
    EXPECT_THAT(write(2), ElementsAre("+a ann", "+b ann"));
    EXPECT_EQ(roster.waiting(), 3u);
    EXPECT_EQ(write(2).size(), 2u);
    EXPECT_EQ(write(2).size(), 1u);
}

TEST_F(PresenceRosterTest, WhoCameAndWentUntoldTakesNoPlace) {
    set(1, "ann", {"a"});
    roster.gone(1, now);
    now += GRACE;
    roster.prune(now);
    EXPECT_EQ(roster.rows(), 0u);
    EXPECT_EQ(roster.waiting(), 0u);
    EXPECT_THAT(write(), IsEmpty());
}

TEST_F(PresenceRosterTest, WhatTheDatabaseNeverTakesIsGivenUp) {
    set(1, "ann", {"a", "b"});
    const auto is_b = [](const Pair& who) { return who.first == "b"; };
    EXPECT_EQ(roster.give_up(roster.changes(9, now), is_b), 1u);
    EXPECT_EQ(roster.give_up(roster.changes(9, now), is_b), 1u); // what is left is no better
    EXPECT_THAT(write(), IsEmpty());
    roster.gone(1, now);
    now += GRACE;
    EXPECT_THAT(write(), IsEmpty());
    EXPECT_EQ(roster.rows(), 0u);
}

TEST_F(PresenceRosterTest, AfterACrashTheTableIsFilledQuietlyAndWhoHasLeftLeaves) {
    set(1, "ann", {"a"});
    set(2, "bob", {"a"});
    write();
    set(3, "cem", {"a"});
    roster.gone(2, now);
    now += 2 * GRACE; // the server was away so long
    roster.assume({}, true, now);
    auto texts = write();
    std::ranges::sort(texts);
    EXPECT_THAT(texts, ElementsAre("+a cem", "=a ann", "=a bob"));
    EXPECT_THAT(write(), ElementsAre("-a bob"));
    EXPECT_THAT(write(), IsEmpty());
}

// Nobody knows whether they were told of: whoever is there is told of again, and whoever has left leaves.
TEST_F(PresenceRosterTest, AfterACommitInDoubtAndACrashNoLeaveIsMissed) {
    set(1, "ann", {"a"});
    set(2, "bob", {"a"});
    roster.doubt(roster.changes(9, now));
    roster.gone(2, now);
    now += GRACE;
    roster.prune(now);
    roster.assume({}, true, now);
    EXPECT_THAT(write(), ElementsAre("+a ann", "+a bob"));
    EXPECT_THAT(write(), ElementsAre("-a bob"));
    EXPECT_EQ(roster.rows(), 1u);
}

TEST_F(PresenceRosterTest, WhoComesBackAfterALeaveInDoubtAndACrashIsToldOf) {
    set(1, "ann", {"a"});
    write();
    roster.gone(1, now);
    now += GRACE;
    roster.doubt(roster.changes(9, now));
    set(1, "ann", {"a"});
    roster.assume({}, true, now);
    EXPECT_THAT(write(), ElementsAre("+a ann"));
}

TEST_F(PresenceRosterTest, ASecondLossAfterACrashLosesNoLeave) {
    set(1, "ann", {"a"});
    write();
    roster.gone(1, now);
    now += GRACE;
    roster.assume({}, true, now);
    roster.assume({}, false, now); // before the table was filled again
    EXPECT_THAT(write(), ElementsAre("=a ann"));
    EXPECT_THAT(write(), ElementsAre("-a ann"));
}

TEST_F(PresenceRosterTest, WhoWasTakenForDeadJoinsAgain) {
    set(1, "ann", {"a"});
    set(2, "bob", {"b"});
    write();
    roster.gone(2, now);
    now += GRACE;
    roster.assume({}, false, now);
    EXPECT_THAT(write(), ElementsAre("+a ann"));
    EXPECT_EQ(roster.rows(), 1u);
}

TEST_F(PresenceRosterTest, ARestartedGatewayKeepsWhoComesBack) {
    roster.assume({{"a", "ann"}, {"a", "bob"}}, false, now);
    set(1, "ann", {"a"});
    EXPECT_THAT(write(), IsEmpty());
    now += GRACE;
    EXPECT_THAT(write(), ElementsAre("-a bob"));
    EXPECT_EQ(roster.stored(), 1u);
}

// Whatever happens in whatever order, what is written and what was told is what is there when all has
// settled.
TEST_F(PresenceRosterTest, RandomLives) {
    const uint64_t seed = test_seed();
    SCOPED_TRACE(again(seed));
    std::mt19937_64 random(seed);
    const auto one_of = [&random](size_t n) { return random() % n; };
    for (int round = 0; round < 200; ++round) {
        PresenceRoster any({.rows = 20, .members = 4, .grace = GRACE});
        std::set<Pair> table, told;
        const auto commit = [&](const PresenceRoster::Changes& changes) {
            for (const auto& [who, quiet] : changes.joins) {
                EXPECT_TRUE(table.insert(who).second);
                if (!quiet)
                    told.insert(who);
            }
            for (const Pair& who : changes.leaves) {
                EXPECT_EQ(table.erase(who), 1u);
                told.erase(who);
            }
        };
        std::map<uint64_t, std::pair<std::string, std::vector<std::string>>> connections;
        for (int step = 0; step < 200; ++step) {
            now += static_cast<int64_t>(one_of(4)) * SECOND;
            const uint64_t connection = one_of(6);
            if (one_of(3)) {
                std::vector<std::string> channels;
                for (size_t i = one_of(4); i > 0; --i)
                    channels.push_back(std::string(1, static_cast<char>('a' + one_of(5))));
                const std::string member(1, static_cast<char>('A' + one_of(4)));
                any.set(connection, member, channels, now);
                connections[connection] = {member, channels};
            } else {
                any.gone(connection, now);
                connections.erase(connection);
            }
            if (one_of(2))
                continue;
            const auto changes = any.changes(one_of(5), now);
            if (one_of(10) == 0) { // lost, or done and not known
                if (one_of(2))
                    commit(changes);
                any.doubt(changes);
                const bool emptied = one_of(2);
                if (emptied)
                    table.clear();
                now += static_cast<int64_t>(one_of(2)) * GRACE;
                any.prune(now);
                any.assume({table.begin(), table.end()}, emptied, now);
                continue;
            }
            commit(changes);
            any.written(changes);
            ASSERT_EQ(any.stored(), table.size());
            ASSERT_LE(any.rows(), 20u);
        }
        now += GRACE;
        for (int i = 0; i < 20; ++i) {
            const auto changes = any.changes(100, now);
            commit(changes);
            any.written(changes);
        }
        std::set<Pair> wanted;
        for (const auto& [connection, held] : connections)
            for (const std::string& channel : held.second)
                wanted.emplace(channel, held.first);
        EXPECT_EQ(table, wanted);
        EXPECT_EQ(told, wanted);
    }
}

} // namespace
} // namespace odoo_bus
