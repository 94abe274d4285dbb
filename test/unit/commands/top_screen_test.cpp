#include "commands/top_screen.h"

#include <algorithm>

#include <gtest/gtest.h>
#include <spdlog/fmt/fmt.h>

#include "commands/top_options.h"

namespace odoo_bus {
namespace {

using namespace std::chrono_literals;

// After so many notifications, each delivered ten times, the slowest of them in 2.5 ms.
Scrape scrape(int notifications, Duration at, int started = 1'000'000) {
    Scrape scrape;
    scrape.at = Monotonic(at);
    scrape.date = wall_time(1'000'100'000'000);
    scrape.is_ready = true;
    scrape.metrics = MetricsText(fmt::format(R"(process_start_time_seconds {}
process_cpu_seconds_total {}
odoo_bus_connections{{transport="websocket"}} 1203
odoo_bus_notifications_total{{database="a"}} {}
odoo_bus_notifications_total{{database="b"}} 0
odoo_bus_deliveries_total {}
odoo_bus_database_up{{database="a"}} 1
odoo_bus_database_up{{database="b"}} 0
odoo_bus_read_to_socket_seconds_bucket{{le="0.0001"}} {}
odoo_bus_read_to_socket_seconds_bucket{{le="0.0025"}} {}
odoo_bus_read_to_socket_seconds_bucket{{le="+Inf"}} {}
)",
                                             started, notifications / 100.0, notifications,
                                             notifications * 10, 0, notifications, notifications));
    return scrape;
}

Json clients(int count) {
    const Json answer(json_pack("{s:i,s:i,s:b,s:[],s:[]}", "threads", 2, "answered", 2, "complete", 1,
                                "clients", "channels"));
    for (int i = 0; i < count; ++i) {
        json_array_append_new(json_object_get(answer.get(), "clients"),
                              json_pack("{s:s}", "address", fmt::format("192.0.2.{}", i).c_str()));
        json_array_append_new(json_object_get(answer.get(), "channels"),
                              json_pack("{s:s}", "name", fmt::format("channel {}", i).c_str()));
    }
    return Json(json_incref(answer.get()));
}

std::string text_of(const std::vector<ScreenLine>& lines) {
    std::string text;
    for (const ScreenLine& line : lines)
        text += line.text + "\n";
    return text;
}

TEST(TopScreen, HasRatesOfTheTimeBetween) {
    const Scrape before = scrape(100, 10s), now = scrape(120, 14s);
    const std::string text = text_of(top_screen("here", now, &before, {120, 40}));
    EXPECT_NE(text.find("5.0/s read, 50/s delivered"), text.npos) << text;
    EXPECT_NE(text.find("5 % of a processor"), text.npos) << text;
    EXPECT_NE(text.find("here, ready, up 100 s"), text.npos) << text;
    EXPECT_NE(text.find("websocket: 1 203"), text.npos) << text;
}

TEST(TopScreen, HasNoRatesWithoutAnEarlierScrape) {
    const Scrape now = scrape(120, 14s);
    EXPECT_NE(text_of(top_screen("here", now, nullptr, {120, 40})).find("- read, - delivered"),
              std::string::npos);
}

// Its counters begin anew.
TEST(TopScreen, HasNoRatesAcrossARestart) {
    const Scrape before = scrape(1000, 10s), now = scrape(20, 14s, 1'000'050);
    const std::string text = text_of(top_screen("here", now, &before, {120, 40}));
    EXPECT_NE(text.find("- read, - delivered"), text.npos) << text;
    EXPECT_NE(text.find("median 2.5 ms"), text.npos) << text;
}

TEST(TopScreen, HasTheLatencyOfTheTimeBetween) {
    Scrape before = scrape(1000, 10s), now = scrape(1000, 14s);
    EXPECT_NE(text_of(top_screen("here", now, &before, {120, 40})).find("read to socket nothing yet"),
              std::string::npos);
    EXPECT_NE(text_of(top_screen("here", now, nullptr, {120, 40})).find("median 2.5 ms"), std::string::npos);
}

TEST(TopScreen, FitsEveryWindow) {
    Scrape now = scrape(120, 14s);
    now.clients = clients(100);
    for (const size_t rows : {0u, 1u, 5u, 10u, 24u, 50u, 400u})
        for (const size_t columns : {1u, 20u, 40u, 80u, 200u}) {
            const auto lines = top_screen("here", now, nullptr, {columns, rows});
            EXPECT_LE(lines.size(), rows);
            for (const ScreenLine& line : lines)
                EXPECT_LE(line.text.size(), columns);
        }
    EXPECT_EQ(top_screen("here", now, nullptr, {80, 50}).size(), 50u);
}

TEST(TopScreen, GivesEachTableItsShare) {
    Scrape now = scrape(120, 14s);
    now.clients = clients(100);
    const std::string text = text_of(top_screen("here", now, nullptr, {80, 24}));
    for (const char* const shown : {"NOT BEING READ", "192.0.2.3", "channel 3"})
        EXPECT_NE(text.find(shown), text.npos) << shown << " in\n" << text;
}

TEST(TopScreen, SaysWhyItIsNotReady) {
    Scrape now = scrape(120, 14s);
    now.is_ready = false;
    now.ready = "{\"reasons\":[\"the gateway stops\"]}\033[2J";
    now.no_clients = "not told";
    const std::string text = text_of(top_screen("here", now, nullptr, {80, 24}));
    for (const char* const shown : {"NOT READY", "the gateway stops", "not told", "\\x1b[2J"})
        EXPECT_NE(text.find(shown), text.npos) << shown << " in\n" << text;
    EXPECT_EQ(text.find('\033'), text.npos);
}

TEST(TopOptions, AreItsOwnAndTheGateways) {
    const auto parsed = parse_top_options(
        {"--metrics-listen=127.0.0.1:1", "--interval", "5", "--auth", "open", "--once", "--allow-open"});
    ASSERT_TRUE(std::holds_alternative<TopOptions>(parsed)) << std::get<OptionsError>(parsed).message;
    const TopOptions& options = std::get<TopOptions>(parsed);
    EXPECT_EQ(options.interval, 5s);
    EXPECT_TRUE(options.once);
    EXPECT_EQ(options.gateway.metrics_listen.front().port, 1);
    EXPECT_TRUE(std::holds_alternative<OptionsText>(parse_top_options({"--help"})));
    for (const std::vector<std::string>& wrong : {std::vector<std::string>{},
                                                  {"--metrics-listen=127.0.0.1:1", "--interval=0"},
                                                  {"--metrics-listen=127.0.0.1:1", "--interval=x"},
                                                  {"--metrics-listen=127.0.0.1:1", "word"},
                                                  {"--no-such"}})
        EXPECT_TRUE(std::holds_alternative<OptionsError>(parse_top_options(wrong))) << wrong.size();
}

} // namespace
} // namespace odoo_bus
