// The grant cache: what it remembers, how long, and what its file may do to it.
#include "auth/odoo/grant_cache.h"

#include <filesystem>
#include <fstream>
#include <iterator>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

namespace odoo_bus {
namespace {

using namespace std::chrono_literals;

constexpr Duration TTL = 60s;

Digest digest(const std::string& text) {
    return Sha256().add(text).finish();
}

class GrantCacheTest : public testing::Test {
protected:
    const std::string path =
        std::filesystem::temp_directory_path() / ("odoo_bus_grants_" + std::to_string(getpid()));
    const Grant grant{"mydb", {R"(["mydb","\u00e9\"]"])", R"(["mydb","res.partner",3])"}};
    Monotonic now = MonotonicClock::now();
    WallTime date = wall_time(1'700'000'000'000'000);

    void TearDown() override { std::filesystem::remove(path); }
    std::string file() const {
        std::ifstream in(path, std::ios::binary);
        return {std::istreambuf_iterator<char>(in), {}};
    }
    void pass(Duration time) {
        now += time;
        date += time;
    }
    std::unique_ptr<GrantCache> make() {
        auto cache = std::make_unique<GrantCache>(path, TTL);
        cache->load(now, date);
        return cache;
    }
};

TEST_F(GrantCacheTest, LivesForItsTime) {
    GrantCache cache({}, TTL);
    cache.put(digest("k"), digest("c"), grant, now, now);
    EXPECT_EQ(cache.find(digest("k"), now)->channels, grant.channels);
    EXPECT_EQ(cache.find(digest("other"), now), nullptr);
    EXPECT_TRUE(cache.find(digest("k"), now + TTL - 1us));
    EXPECT_FALSE(cache.find(digest("k"), now + TTL));
    EXPECT_TRUE(cache.knows(digest("c")));
    cache.tick(now + TTL, date);
    EXPECT_FALSE(cache.knows(digest("c")));
    EXPECT_EQ(cache.size(), 0u);
}

TEST_F(GrantCacheTest, AnOlderAnswerChangesNothing) {
    GrantCache cache({}, TTL);
    cache.put(digest("k"), digest("c"), grant, now + 5us, now + 10us);
    cache.put(digest("k"), digest("c"), {"mydb", {"[\"mydb\",\"old\"]"}}, now, now + 20us);
    EXPECT_EQ(cache.find(digest("k"), now + 20us)->channels, grant.channels);
}

TEST_F(GrantCacheTest, OutlivesARestart) {
    make()->put(digest("k"), digest("c"), grant, now, now);
    EXPECT_EQ(make()->find(digest("k"), now)->channels, grant.channels);
    EXPECT_EQ(make()->find(digest("k"), now)->database, "mydb");
    struct stat status = {};
    ASSERT_EQ(stat(path.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0600u);
    pass(TTL);
    EXPECT_FALSE(make()->find(digest("k"), now));
}

TEST_F(GrantCacheTest, OutlivesARestartOfTheMachine) {
    make()->put(digest("k"), digest("c"), grant, now, now);
    date += 59s;
    now = Monotonic(5s); // it counts from the boot
    EXPECT_TRUE(make()->find(digest("k"), now));
    pass(1s);
    EXPECT_FALSE(make()->find(digest("k"), now));
}

TEST_F(GrantCacheTest, AClockThatIsSetMakesNoGrantLiveLonger) {
    for (const Duration by : {Duration(-1h), Duration(2h)}) {
        const auto cache = make();
        cache->put(digest("k"), digest("c"), grant, now, now);
        date += by;
        cache->tick(now, date);
        EXPECT_TRUE(cache->find(digest("k"), now + TTL - 1us)) << "in memory its age counts";
        EXPECT_FALSE(cache->find(digest("k"), now + TTL));
        EXPECT_FALSE(make()->find(digest("k"), now));
    }
}

// As it was written before the gateway had two clocks.
TEST_F(GrantCacheTest, TheFileHoldsDates) {
    make()->put(digest("k"), digest("c"), grant, now - 2s, now);
    EXPECT_THAT(file(), testing::HasSubstr(R"("asked":1699999998000000,"expires":1700000060000000,)"));
}

TEST_F(GrantCacheTest, WhatWasForgottenStaysForgotten) {
    auto cache = make();
    for (const char* key : {"a", "b", "d"})
        cache->put(digest(key), digest(*key == 'd' ? "other" : "c"), grant, now, now);
    cache->forget_client(digest("c"), now);
    cache = make();
    EXPECT_FALSE(cache->find(digest("a"), now));
    EXPECT_FALSE(cache->find(digest("b"), now));
    EXPECT_TRUE(cache->find(digest("d"), now));
}

TEST_F(GrantCacheTest, ALongerTtlInTheFileIsNotBelieved) {
    {
        GrantCache longer(path, 100 * TTL);
        longer.load(now, date);
        longer.put(digest("k"), digest("c"), grant, now, now);
    }
    EXPECT_FALSE(make()->find(digest("k"), now));
}

TEST_F(GrantCacheTest, DamagedLinesAreLeftOut) {
    make()->put(digest("k"), digest("c"), grant, now, now);
    const std::string whole = file();
    for (size_t cut = 0; cut < whole.size(); ++cut) {
        std::ofstream(path, std::ios::binary) << whole.substr(0, cut);
        EXPECT_FALSE(make()->find(digest("k"), now)) << cut;
    }
    for (size_t at = 0; at < whole.size(); at += 3) {
        std::string damaged = whole;
        damaged[at] = static_cast<char>(damaged[at] ^ 1);
        std::ofstream(path, std::ios::binary) << damaged;
        EXPECT_FALSE(make()->find(digest("k"), now)) << at;
    }
}

TEST_F(GrantCacheTest, AFileThatOthersCanWriteIsNotBelieved) {
    make()->put(digest("k"), digest("c"), grant, now, now);
    chmod(path.c_str(), 0622);
    EXPECT_FALSE(make()->find(digest("k"), now));
    struct stat status = {};
    stat(path.c_str(), &status);
    EXPECT_EQ(status.st_mode & 0777, 0600u); // written anew
}

TEST_F(GrantCacheTest, TheFileDoesNotGrowForEver) {
    auto cache = make();
    for (int i = 0; i < 10'100; ++i)
        cache->put(digest("k"), digest("c"), grant, now + i * 1us, now + i * 1us);
    const size_t before = file().size();
    pass(20ms);
    cache->tick(now, date);
    EXPECT_LT(file().size(), before / 100);
    EXPECT_TRUE(make()->find(digest("k"), now));
}

TEST_F(GrantCacheTest, IsBoundedInNumber) {
    GrantCache cache({}, TTL, {.entries = 10, .bytes = 1 << 20});
    for (int i = 0; i < 30; ++i)
        cache.put(digest(std::to_string(i)), digest("c"), grant, now, now);
    EXPECT_EQ(cache.size(), 10u);
}

TEST_F(GrantCacheTest, IsBoundedInBytes) {
    GrantCache cache({}, TTL, {.entries = 1'000, .bytes = 1 << 20});
    Grant large = grant;
    large.channels.assign(40, std::string(1'000, 'x'));
    for (int i = 0; i < 100; ++i)
        cache.put(digest(std::to_string(i)), digest("c"), large, now, now);
    EXPECT_GT(cache.size(), 20u);
    EXPECT_LT(cache.size(), 27u);
    EXPECT_TRUE(cache.find(digest("99"), now));

    // One that would drive out many is not kept, nor is what it replaces.
    const size_t size = cache.size();
    large.channels.assign(100, std::string(1'000, 'x'));
    cache.put(digest("99"), digest("c"), large, now + 1us, now + 1us);
    EXPECT_FALSE(cache.find(digest("99"), now));
    EXPECT_EQ(cache.size(), size - 1);
}

TEST_F(GrantCacheTest, WhatIsKeptIsChargedAndShed) {
    MemoryAccounts accounts;
    const auto large = accounts.of(Address::parse("192.0.2.1")),
               small = accounts.of(Address::parse("192.0.2.2"));
    GrantCache cache({}, TTL);
    cache.put(digest("small"), digest("c"), grant, now, now, small);
    Grant long_one = grant;
    long_one.channels.assign(100, std::string(1'000, 'x'));
    for (int i = 0; i < 20; ++i)
        cache.put(digest(std::to_string(i)), digest("c"), long_one, now, now, large);
    EXPECT_GT(large->held(), 2'000'000u);
    cache.put(digest("0"), digest("c"), long_one, now, now, large);
    EXPECT_LT(large->held(), 2'200'000u) << "what is replaced is charged no more";
    cache.shed();
    EXPECT_EQ(cache.size(), 21u);
    accounts.lower(1'000'000);
    cache.shed();
    EXPECT_FALSE(large->exceeds());
    EXPECT_GT(cache.size(), 8u);
    EXPECT_LT(cache.size(), 14u);
    EXPECT_TRUE(cache.find(digest("small"), now));
    cache.forget_client(digest("c"), now);
    EXPECT_EQ(accounts.held(), 0u);
}

TEST_F(GrantCacheTest, AnotherProcessHasTheFile) {
    std::vector<Digest> forgotten;
    auto before = make();
    before->put(digest("early"), digest("anna"), grant, now, now);
    before->put(digest("gone"), digest("bert"), grant, now, now);
    before->forget(digest("gone"), now);
    before->let_go([&forgotten](const Digest& key) { forgotten.push_back(key); });
    auto after = make();
    EXPECT_TRUE(after->find(digest("early"), now));
    EXPECT_FALSE(after->find(digest("gone"), now)) << "it was forgotten in the file";
    const std::string written = file();
    before->put(digest("late"), digest("anna"), grant, now, now);
    EXPECT_EQ(file(), written);
    before->forget_client(digest("anna"), now);
    EXPECT_EQ(file(), written);
    EXPECT_THAT(forgotten, testing::UnorderedElementsAre(digest("early"), digest("late")));
    for (const Digest& key : forgotten)
        after->forget(key, now);
    EXPECT_FALSE(after->find(digest("early"), now));
    EXPECT_FALSE(make()->find(digest("early"), now));
}

TEST_F(GrantCacheTest, AnotherProcessWasToHaveTheFile) {
    auto cache = make();
    cache->put(digest("early"), digest("anna"), grant, now, now);
    size_t forgotten = 0;
    cache->let_go([&forgotten](const Digest&) { ++forgotten; });
    cache->put(digest("meanwhile"), digest("anna"), grant, now, now);
    cache->forget(digest("early"), now);
    EXPECT_EQ(forgotten, 1u);
    cache->take_back();
    cache->put(digest("late"), digest("anna"), grant, now, now);
    auto next = make();
    EXPECT_FALSE(next->find(digest("early"), now));
    EXPECT_TRUE(next->find(digest("meanwhile"), now));
    EXPECT_TRUE(next->find(digest("late"), now));
    cache->forget(digest("late"), now);
    EXPECT_EQ(forgotten, 1u);
}

} // namespace
} // namespace odoo_bus
