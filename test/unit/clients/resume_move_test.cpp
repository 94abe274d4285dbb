// Where a client resumes that moves between two gateways: it loses nothing, and while it stays with one it is
// given nothing twice. Random schedules of both, with clocks, cookies and restarts.
#include <gtest/gtest.h>

#include "clients/resume_fixture.h"
#include "seed.h"

using namespace odoo_bus;

namespace {

class ResumeAtTwoGateways : public ResumeTest {
protected:
    // A browser's tab, with its cookie.
    struct Page {
        Subscribe subscribe;
        std::string cookie;
        std::unique_ptr<Connection> connection;
        SimulatedFeed* gateway = nullptr;
        std::set<Id> given;
        // Which gateway gave it its `last`, and where it stands there; 0: another one may have.
        SimulatedFeed* from = nullptr;
        int incarnation = 0;
        Position at = 0;
        // With which `last` it came from another one, as far as that gateway remembers it.
        std::pair<uint64_t, int> came; // by its number and the incarnation
        Id came_with = 0;
        bool holds_cookies = false; // over plain HTTP each answer may set one
    };
    SimulatedFeed a_{"aaaa"}, b_{"bbbb"};
    std::vector<Page> pages_{4};

    void set_cookie(Page& page, const std::string& header) {
        if (!header.empty())
            page.cookie = header.substr(header.find('=') + 1, header.find(';') - header.find('=') - 1);
    }
    void connect(Page& page) {
        receive(page);
        page.connection.reset();
        page.gateway = chance(2) ? &a_ : &b_;
        const Provenance from = provenance_of(page.cookie, page.gateway->id);
        set_cookie(page, set_gateway_cookie(from, page.gateway->id));
        if (const std::pair now(from.mover, page.gateway->incarnation); now != page.came) {
            page.came = now;
            page.came_with = page.subscribe.last;
        }
        page.connection = std::make_unique<Connection>(*page.gateway, table_, from);
        page.connection->subscribe(page.subscribe, MonotonicClock::now());
        page.holds_cookies = chance(2);
    }
    static const Notification* find(const SimulatedFeed& gateway, Id id) {
        const auto found = std::ranges::find(gateway.dispatched, id, &Notification::id);
        return found == gateway.dispatched.end() ? nullptr : &*found;
    }
    // Some frames, or all that there is.
    void receive(Page& page) {
        if (!page.connection)
            return;
        Connection& connection = *page.connection;
        if (chance(2)) {
            connection.settle();
        } else {
            connection.answer();
            connection.drain(static_cast<int>(random_() % 3));
        }
        const std::set<Id> once(connection.received.begin(), connection.received.end());
        EXPECT_EQ(once.size(), connection.received.size()) << "a notification came twice";
        const bool stayed = page.from == page.gateway && page.incarnation == page.gateway->incarnation;
        for (const Id id : connection.received) {
            const Notification* const row = find(*page.gateway, id);
            ASSERT_TRUE(row);
            EXPECT_FALSE(stayed && row->position <= page.at) << id << " was given before";
            page.given.insert(id);
        }
    }
    // The connection ends here: what its page knows is where it goes on.
    void end(Page& page) {
        receive(page);
        if (page.connection && !page.connection->received.empty()) {
            const Id last = page.connection->received.back();
            page.subscribe.last = last;
            page.from = last == page.came_with || page.connection->from_table ? nullptr : page.gateway;
            page.incarnation = page.gateway->incarnation;
            page.at = find(*page.gateway, last)->position;
            if (page.holds_cookies && page.connection->delivered() &&
                page.connection->resume().is_ambiguous(page.connection->delivered()))
                set_cookie(page, set_gateway_cookie(page.connection->provenance(), page.gateway->id,
                                                    page.connection->delivered()));
        } else if (page.from != page.gateway) {
            page.from = nullptr;
        }
        page.connection.reset();
    }
    void step() {
        Page& page = pages_[random_() % pages_.size()];
        switch (random_() % 12) {
        case 0:
        case 1:
            end(page);
            return connect(page);
        case 2:
        case 3:
            return receive(page);
        case 4:
            return pass_and_read();
        case 5:
            if (chance(4))
                restart(chance(2) ? a_ : b_);
            return;
        case 6:
        case 7:
            return read(a_);
        case 8:
        case 9:
            return read(b_);
        default:
            write();
        }
    }
    void restart(SimulatedFeed& gateway) {
        for (Page& page : pages_)
            if (page.gateway == &gateway)
                end(page);
        gateway.restart();
        inherit_positions_number(random_());
    }
    // What every page begins after.
    void begin() {
        table_ = {.rows = {{1, "a"}}, .open = {}, .last_id = 1};
        for (SimulatedFeed* const gateway : {&a_, &b_}) {
            gateway->begin();
            gateway->feed.has_peers = true;
            read(*gateway);
        }
    }
    // Neither gateway is deaf for longer.
    void pass_and_read() {
        pass_up_to(15s);
        for (SimulatedFeed* const gateway : {&a_, &b_})
            if (chance(2))
                read(*gateway);
    }
};

TEST_F(ResumeAtTwoGateways, RandomSchedules) {
    const uint64_t seed = test_seed();
    SCOPED_TRACE(again(seed));
    random_.seed(seed);
    for (int n = 0; n < (SANITIZED ? 200 : 1'000) && !HasFailure(); ++n) {
        begin();
        for (Page& page : pages_) {
            page = {};
            page.subscribe = after(1);
            page.subscribe.channels = some_channels();
            if (chance(2))
                page.subscribe.check_outdated = true;
            connect(page);
        }
        for (int i = 0; i < 150 && !HasFailure(); ++i)
            step();
        read(a_);
        read(b_);
        for (Page& page : pages_) {
            if (!page.connection)
                connect(page);
            page.connection->settle();
            receive(page);
            for (const auto& [row, channel] : table_.rows) {
                const bool is_wanted = row > 1 && std::ranges::find(page.subscribe.channels, channel) !=
                                                      page.subscribe.channels.end();
                EXPECT_TRUE(!is_wanted || page.given.contains(row)) << row << " is lost";
            }
            page.connection.reset();
        }
    }
}

} // namespace
