// What a byte of foreign input may cost: see cost_case.h. Not with sanitizers, whose allocations are another
// matter; test/run builds this without.
#include "cost_case.h"

#include <algorithm>
#include <filesystem>
#include <set>

#include <gtest/gtest.h>
#include <spdlog/fmt/fmt.h>

#include "base/log.h"
#include "protocol/client_event.h"
#include "test/unit/cost.h"

namespace odoo_bus {
namespace {

constexpr double MOST = 2;
constexpr int TRIES = 8; // of which one must succeed: a disturbance of the machine makes it only slower
constexpr double LEAST_SECONDS = 0.001;

const std::vector<CostCase>& all_cases() {
    static const std::vector<CostCase> all = [] {
        std::vector<CostCase> cases;
        for (auto make : {json_cases, http_cases, file_cases})
            std::ranges::move(make(), std::back_inserter(cases));
        return cases;
    }();
    return all;
}

// Seconds for a byte: the best of some rounds, each long enough to be measured.
double cost_of(const std::string& text, const ParseText& parse) {
    double best = 1e9;
    size_t times = 1;
    for (int round = 0; round < 3; ++round) {
        for (;;) {
            const double begin = thread_seconds();
            for (size_t i = 0; i < times; ++i)
                parse(text);
            const double taken = thread_seconds() - begin;
            best = std::min(best, taken / static_cast<double>(times));
            if (taken >= LEAST_SECONDS)
                break;
            times *= 2;
        }
    }
    return best / static_cast<double>(text.size());
}

double cost_of_messages() {
    static const std::string subscribe = numbered(R"({"event_name":"subscribe","data":{"channels":["a")",
                                                  R"(,"res.partner_#")", R"(],"last":12}})")(8 << 10);
    static const std::string presence =
        numbered(R"({"event_name":"update_presence","data":{"inactivity_period":1,"im_status_ids_by_model":)"
                 R"({"res.partner":[3)",
                 ",#", "]}}}")(8 << 10);
    const auto parse = [](const std::string& event) { parse_client_event(event, {}); };
    return std::max(cost_of(subscribe, parse), cost_of(presence, parse));
}

class Cost : public testing::TestWithParam<size_t> {};

} // namespace

TEST_P(Cost, OfAByte) {
    const CostCase& each = all_cases()[GetParam()];
    const std::string hostile = each.hostile(each.bytes);
    const std::string plain = each.plain ? each.plain(each.bytes) : "";
    double least = 1e9;
    for (int i = 0; i < TRIES && least > MOST; ++i) {
        const double plain_cost =
            std::max(cost_of_messages(), plain.empty() ? 0 : cost_of(plain, each.parse));
        least = std::min(least, cost_of(hostile, each.parse) / plain_cost);
    }
    RecordProperty("ratio", fmt::format("{:.2f}", least));
    EXPECT_LE(least, MOST) << each.parser << ": " << each.what << ", " << hostile.size() << " bytes";
}

INSTANTIATE_TEST_SUITE_P(All, Cost, testing::Range<size_t>(0, all_cases().size()), [](const auto& of) {
    const CostCase& each = all_cases()[of.param];
    return fmt::format("{}__{}__{}", each.parser, each.what, of.param);
});

// A parser that is fuzzed is measured, too.
TEST(CostCases, AreOfEachFuzzTarget) {
    constexpr std::string_view END = "_fuzz.cpp";
    std::set<std::string> fuzzed, measured;
    for (const auto& file : std::filesystem::directory_iterator(ODOO_BUS_SOURCES "/test/fuzz"))
        if (std::string name = file.path().filename(); name.ends_with(END))
            fuzzed.insert(name.substr(0, name.size() - END.size()));
    for (const CostCase& each : all_cases())
        measured.insert(each.parser);
    EXPECT_EQ(measured, fuzzed);
}

} // namespace odoo_bus

int main(int count, char** arguments) {
    odoo_bus::log::configure(odoo_bus::log::Level::error, odoo_bus::log::Format::text);
    testing::InitGoogleTest(&count, arguments);
    return RUN_ALL_TESTS();
}
