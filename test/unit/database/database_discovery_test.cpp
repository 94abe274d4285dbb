// The databases that match --database-match: which are served, set aside, left out and forgotten, and when.
#include "database/database_discovery.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace odoo_bus {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr std::chrono::seconds SECOND(1);

class FoundDatabasesTest : public testing::Test {
protected:
    // One look at the server, in this second; what was begun then.
    std::vector<std::string> look(std::vector<DatabaseCatalog::Found> there) {
        served_.clear();
        forgotten_.clear();
        found_.found(there, now_ += SECOND);
        return served_;
    }
    static std::vector<DatabaseCatalog::Found> open(std::vector<std::string> names) {
        std::vector<DatabaseCatalog::Found> found;
        for (std::string& name : names)
            found.push_back({std::move(name), true});
        return found;
    }

    Monotonic now_ = Monotonic(1000 * SECOND);
    std::vector<std::string> served_, forgotten_;
    DatabaseDiscovery found_{3,
                             {.serve = [this](const std::string& name) { served_.push_back(name); },
                              .forget = [this](const std::string& name) { forgotten_.push_back(name); }}};
};

TEST_F(FoundDatabasesTest, EachIsBegunOnceAndForgottenOnce) {
    EXPECT_THAT(look(open({"a", "b"})), ElementsAre("a", "b"));
    EXPECT_THAT(look(open({"a", "b"})), IsEmpty());
    found_.began("a");
    found_.began("b");
    EXPECT_THAT(look(open({"b", "c"})), ElementsAre("c"));
    EXPECT_THAT(forgotten_, ElementsAre("a"));
    EXPECT_THAT(look(open({"a", "b", "c"})), ElementsAre("a"));
    EXPECT_THAT(forgotten_, IsEmpty());
}

TEST_F(FoundDatabasesTest, ThatNobodyMayConnectNowIsNoReasonToForget) {
    look(open({"a"}));
    found_.began("a");
    EXPECT_THAT(look({{"a", false}, {"b", false}}), IsEmpty());
    EXPECT_THAT(forgotten_, IsEmpty());
    EXPECT_THAT(look(open({"a", "b"})), ElementsAre("b"));
}

TEST_F(FoundDatabasesTest, OneThatCannotBeReadIsTriedAtAPaceThatSlowsDown) {
    int tries = 0;
    for (int second = 0; second < 600; ++second)
        if (!look(open({"a"})).empty()) {
            ++tries;
            found_.set_aside("a", "no table", now_);
        }
    EXPECT_GE(tries, 10);
    EXPECT_LE(tries, 16);
    EXPECT_THAT(forgotten_, IsEmpty());
    // Gone, and there again: it begins anew.
    look({});
    EXPECT_THAT(look(open({"a"})), ElementsAre("a"));
}

TEST_F(FoundDatabasesTest, OneThatIsNotifiedInIsTriedAtOnceButNotAllTheTime) {
    for (int n = 0; n < 600; ++n)
        if (!look(open({"a"})).empty())
            found_.set_aside("a", "no table", now_);
    look(open({"a"}));
    int tries = 0;
    for (int n = 0; n < 20; ++n) {
        found_.ring("a");
        found_.ring("unknown");
        if (!look(open({"a"})).empty()) {
            ++tries;
            found_.set_aside("a", "no table", now_);
        }
    }
    EXPECT_GE(tries, 5);
    EXPECT_LE(tries, 11);
}

TEST_F(FoundDatabasesTest, NoMoreThanSoManyAreServed) {
    EXPECT_THAT(look(open({"a", "b", "c", "d"})), ElementsAre("a", "b", "c"));
    found_.set_aside("b", "no table", now_);
    found_.began("a");
    found_.began("c");
    EXPECT_THAT(look(open({"a", "b", "c", "d", "e"})), ElementsAre("d"));
    found_.began("d");
    EXPECT_THAT(look(open({"a", "b", "c", "d", "e"})), IsEmpty());
    EXPECT_THAT(look(open({"c", "d", "e"})), ElementsAre("e"));
}

TEST_F(FoundDatabasesTest, ItIsCompleteWhenAllThatWereThereWereLookedAt) {
    EXPECT_FALSE(found_.is_complete());
    look(open({"a", "b", "c", "d"}));
    found_.set_aside("a", "no table", now_);
    found_.set_aside("b", "no table", now_);
    found_.began("c");
    EXPECT_FALSE(found_.is_complete());
    look(open({"a", "b", "c", "d"}));
    EXPECT_FALSE(found_.is_complete());
    found_.began("d");
    EXPECT_TRUE(found_.is_complete());
    look(open({"a", "b", "c", "d", "e"}));
    EXPECT_TRUE(found_.is_complete());
}

TEST_F(FoundDatabasesTest, NoneIsComplete) {
    look({});
    EXPECT_TRUE(found_.is_complete());
}

} // namespace
} // namespace odoo_bus
