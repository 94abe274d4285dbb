// Log lines: one per event, not forgeable, limited in number.
#include "base/log.h"

#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <jansson.h>

#include "base/utf8.h"

namespace odoo_bus {
namespace {

using namespace std::chrono_literals;
using testing::EndsWith;
using testing::HasSubstr;
using testing::MatchesRegex;

class LogTest : public testing::Test {
protected:
    void TearDown() override { log::configure(log::Level::info, log::Format::text); }

    template <class Function>
    static std::vector<std::string> lines_of(Function&& function) {
        testing::internal::CaptureStderr();
        function();
        std::istringstream captured(testing::internal::GetCapturedStderr());
        std::vector<std::string> lines;
        for (std::string line; std::getline(captured, line);)
            lines.push_back(line);
        return lines;
    }
};

TEST_F(LogTest, TextLineHasTimeLevelAndMessage) {
    const auto lines = lines_of([] { log::info("connected to database \"{}\"", "mydb"); });
    ASSERT_EQ(lines.size(), 1u);
    EXPECT_THAT(lines[0], MatchesRegex("20[0-9]+-[0-9]+-[0-9]+T[0-9]+:[0-9]+:[0-9]+\\.[0-9][0-9][0-9]Z info "
                                       "connected to database \"mydb\""));
}

TEST_F(LogTest, LevelDecidesWhatIsWritten) {
    log::configure(log::Level::warning, log::Format::text);
    const auto lines = lines_of([] {
        log::debug("d");
        log::info("i");
        log::warning("w");
        log::error("e");
    });
    ASSERT_EQ(lines.size(), 2u);
    EXPECT_THAT(lines[0], EndsWith(" warning w"));
    EXPECT_THAT(lines[1], EndsWith(" error e"));
    EXPECT_FALSE(log::enabled(log::Level::info));
    EXPECT_TRUE(log::enabled(log::Level::warning));
}

TEST_F(LogTest, ForeignInputCannotForgeALine) {
    const auto hostile =
        std::string("a\nb\rc\td\0", 8) + "e\x1b[31mf\x7f\xc2\x9bg\xff\xe2\x80\xaehé\xe2\x80\xa8i";
    const auto lines = lines_of([&] { log::info("peer said \"{}\"", hostile); });
    ASSERT_EQ(lines.size(), 1u);
    EXPECT_THAT(lines[0], EndsWith(R"(peer said "a\nb\rc\td\x00e\x1b[31mf\x7f\u009bg\xff\u202ehé\u2028i")"));
}

TEST_F(LogTest, EveryByteBecomesOneValidJsonLine) {
    log::configure(log::Level::debug, log::Format::json);
    std::string all("\"\\");
    for (int first = 0; first < 256; ++first)
        for (int second = 0; second < 256; second += 5) {
            all.push_back(static_cast<char>(first));
            all.push_back(static_cast<char>(second));
        }
    for (size_t begin = 0; begin < all.size(); begin += 1000) {
        const auto lines = lines_of([&] { log::debug("{}", all.substr(begin, 1000) + "."); });
        ASSERT_EQ(lines.size(), 1u);
        EXPECT_TRUE(is_utf8(lines[0]));
        json_t* line = json_loads(lines[0].c_str(), JSON_REJECT_DUPLICATES, nullptr);
        ASSERT_NE(line, nullptr) << lines[0];
        EXPECT_STREQ(json_string_value(json_object_get(line, "level")), "debug");
        EXPECT_THAT(json_string_value(json_object_get(line, "time")), EndsWith("Z"));
        EXPECT_EQ(json_string_value(json_object_get(line, "message")),
                  log::printable(all.substr(begin, 1000) + "."));
        json_decref(line);
    }
}

TEST_F(LogTest, LongLinesAreCutAndLibpqsNewlineIsDropped) {
    const auto lines = lines_of([] {
        log::info("{}", std::string(10'000, 'x'));
        log::error("FATAL:  database \"x\" does not exist\n");
    });
    ASSERT_EQ(lines.size(), 2u);
    EXPECT_THAT(lines[0], EndsWith("xxx... (1808 bytes more)"));
    EXPECT_LT(lines[0].size(), 8300u);
    EXPECT_THAT(lines[1], EndsWith("error FATAL:  database \"x\" does not exist"));
}

TEST_F(LogTest, ThreadsAndAReloadDoNotMixLines) {
    const auto lines = lines_of([] {
        std::vector<std::thread> threads;
        for (int i = 0; i < 4; ++i)
            threads.emplace_back([i] {
                for (int n = 0; n < 200; ++n) {
                    log::info("thread {} line {} ends", i, n);
                    if (i == 0)
                        log::configure(log::Level::info, n % 2 ? log::Format::json : log::Format::text);
                }
            });
        for (auto& thread : threads)
            thread.join();
    });
    ASSERT_EQ(lines.size(), 800u);
    for (const auto& line : lines)
        EXPECT_THAT(line, testing::AnyOf(EndsWith(" ends"), EndsWith(" ends\"}")));
}

TEST_F(LogTest, LimitedWritesSoManyASecondThenACount) {
    log::Limited limited("refused requests", 3);
    const log::Limited::Clock::time_point start(100s);
    const auto lines = lines_of([&] {
        int admitted = 0;
        for (int i = 0; i < 10; ++i)
            admitted += limited.admit(i == 7 ? log::Level::warning : log::Level::info, start + i * 10ms);
        EXPECT_EQ(admitted, 3);
        log::Limited::report_suppressed(start + 500ms); // this second has not passed
        EXPECT_TRUE(limited.admit(log::Level::info, start + 1s));
        log::Limited::report_suppressed(start + 3s); // nothing suppressed since
    });
    ASSERT_EQ(lines.size(), 1u);
    EXPECT_THAT(lines[0], EndsWith(" warning refused requests: 7 more in one second were not logged"));
}

TEST_F(LogTest, SuppressedCountComesWithoutAnotherLine) {
    log::Limited limited("bad events", 1);
    const log::Limited::Clock::time_point start(100s);
    const auto lines = lines_of([&] {
        limited.admit(log::Level::info, start);
        limited.admit(log::Level::info, start);
        log::Limited::report_suppressed(start + 1s);
        log::Limited::report_suppressed(start + 2s);
    });
    ASSERT_EQ(lines.size(), 1u);
    EXPECT_THAT(lines[0], HasSubstr("bad events: 1 more"));
}

} // namespace
} // namespace odoo_bus
