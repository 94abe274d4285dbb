// What tests of resuming clients share: a table, the two clocks, and chance.
#pragma once

#include <gtest/gtest.h>

#include "clients/simulated_feed.h"
#include "moved_clock.h"

namespace odoo_bus {

using namespace std::chrono_literals;

inline const std::vector<std::string> CHANNELS = {"a", "b", "c"};

class ResumeTest : public testing::Test {
protected:
    bool chance(unsigned of) { return random_() % of == 0; }
    void pass(Duration time) {
        monotonic_.move(time);
        wall_.move(time);
    }
    void pass_up_to(Duration time) { pass(Duration(random_() % static_cast<uint64_t>(time.count()))); }
    // Transactions draw ids in one order and are committed in another, or never.
    void write() {
        for (uint64_t n = random_() % 3 + 1; n > 0; --n)
            table_.open[++table_.last_id] = CHANNELS[random_() % CHANNELS.size()];
        for (auto row = table_.open.begin(); row != table_.open.end();) {
            const uint64_t fate = random_() % 8;
            if (fate < 4)
                table_.rows.insert(*row);
            row = fate < 5 ? table_.open.erase(row) : std::next(row);
        }
    }
    void read(SimulatedFeed& gateway) {
        gateway.read(table_, random_, [this] { pass_up_to(500ms); });
    }
    std::vector<std::string> some_channels() {
        std::vector<std::string> some;
        while (some.empty())
            std::ranges::copy_if(CHANNELS, std::back_inserter(some), [this](auto&) { return chance(2); });
        return some;
    }
    // Rows with these ids, committed and dispatched one after the other.
    void dispatch(SimulatedFeed& gateway, std::initializer_list<Id> ids) {
        for (const Id id : ids) {
            table_.rows.emplace(id, "a");
            read(gateway);
        }
    }
    static Subscribe after(Id last, std::optional<bool> check_outdated = {}) {
        Subscribe subscribe;
        subscribe.channels = {"a"};
        subscribe.last = last;
        subscribe.last_is_integer = true;
        subscribe.check_outdated = check_outdated;
        return subscribe;
    }

    Random random_;
    MovedClock<MonotonicClock> monotonic_;
    MovedClock<WallClock> wall_;
    Table table_;
};

} // namespace odoo_bus
