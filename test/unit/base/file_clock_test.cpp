// Dates of files, while the machine's clock is set and after it was started anew.
#include "base/file_clock.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include <gtest/gtest.h>

#include "moved_clock.h"

namespace odoo_bus {
namespace {

using namespace std::chrono_literals;

// What a test itself may take, on any machine: less than that by which it moves a clock.
constexpr Duration WHILE = 1min;

class FileClock : public testing::Test {
protected:
    FileClock() {
        std::string made = testing::TempDir() + "file_clock.XXXXXX";
        directory_ = mkdtemp(made.data());
    }
    ~FileClock() override {
        std::filesystem::remove_all(directory_);
        file_clock::load(directory_, "unknown");
    }

    // As a process that begins.
    void begin(const std::string& boot = "a") { file_clock::load(directory_, boot); }
    void save(const std::string& boot = "a") { file_clock::save(directory_, boot); }
    static Duration age(WallTime date) { return MonotonicClock::now() - file_clock::time_of(date); }
    static WallTime now() { return file_clock::date_of(MonotonicClock::now()); }

    std::string directory_;
};

} // namespace

TEST_F(FileClock, IsTheWallClockAtFirst) {
    begin();
    EXPECT_LT(WallClock::now() - now(), WHILE);
    EXPECT_LT(now() - WallClock::now(), WHILE);
}

TEST_F(FileClock, DoesNotMoveWithTheWallClock) {
    begin();
    const WallTime date = now();
    for (const Duration by : {Duration(2h), Duration(-1h)}) {
        const MovedClock<WallClock> set(by);
        EXPECT_LT(age(date), WHILE);
        begin();
        EXPECT_LT(age(date), WHILE);
    }
    const MovedClock<MonotonicClock> later(5min);
    begin();
    EXPECT_GE(age(date), 5min);
    EXPECT_LT(age(date), 5min + WHILE);
}

TEST_F(FileClock, GoesByTheWallClockAfterAReboot) {
    begin();
    const WallTime date = now();
    // Ten minutes later, and the monotonic clock begins anew.
    const MovedClock<WallClock> later(10min);
    const MovedClock<MonotonicClock> fresh(-1s);
    begin("b");
    EXPECT_GT(age(date), 10min - 1s);
    EXPECT_LT(age(date), 10min + WHILE);
}

TEST_F(FileClock, KnowsAfterARebootHowTheClockWasSetBefore) {
    begin();
    const MovedClock<WallClock> set(2h);
    const WallTime date = now();
    save();
    begin("b");
    EXPECT_LT(age(date), WHILE);
    // And once more.
    save("b");
    begin("c");
    EXPECT_LT(age(date), WHILE);
}

TEST_F(FileClock, ADateInTheFutureIsNow) {
    begin();
    const Monotonic time = file_clock::time_of(now() + Duration(1h));
    EXPECT_LE(time, MonotonicClock::now());
}

TEST_F(FileClock, AFileThatIsNoneIsReplaced) {
    for (const std::string text : {"", "a", "a 1", "a b c d", "a 1 2 9223372036854775807"}) {
        std::ofstream(directory_ + "/clock") << text;
        begin();
        EXPECT_LT(age(now()), WHILE) << text;
        save();
        const WallTime date = now();
        begin();
        EXPECT_LT(age(date), WHILE) << text;
    }
}

} // namespace odoo_bus
