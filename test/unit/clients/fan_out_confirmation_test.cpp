// Notifications that wait for the confirmation of a grant: which ones, for how long, and in which order they
// come.
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <map>
#include <random>
#include <set>
#include <span>

#include "clients/catch_up.h"
#include "clients/fan_out.h"
#include "metrics/metrics.h"
#include "moved_clock.h"
#include "seed.h"

using namespace odoo_bus;
using namespace std::chrono_literals;

namespace {

using Ids = std::vector<Id>;

class Page final : public Subscriber {
public:
    Page() = default;
    Page(const Page&) = delete;
    Page& operator=(const Page&) = delete;
    ~Page() override {
        if (fan_out)
            fan_out->unsubscribe(*this);
    }

    bool writable() override { return room > 0 && !closed; }
    void write(const std::string& frame) override {
        for (size_t at = 0; (at = frame.find("\"id\":", at)) != std::string::npos; ++at)
            ids.push_back(std::stoll(frame.substr(at + 5)));
        --room;
    }
    void want_writable() override {}
    void fell_behind(std::string_view) override { closed = true; }
    void want_confirmation() override { ++wanted; }

    Ids ids;
    int room = 1'000'000;
    int wanted = 0; // confirmations
    bool closed = false;
    FanOut* fan_out = nullptr; // that it is subscribed to
};

uint64_t delivered_unconfirmed() {
    const std::string text = metrics::text(), name = "\nodoo_bus_delivered_unconfirmed_total ";
    const size_t at = text.find(name);
    return at == text.npos ? 0 : std::stoull(text.substr(at + name.size()));
}

class FanOutConfirmationTest : public testing::Test {
protected:
    void publish(const std::vector<std::string>& channels, size_t length = 0) {
        auto batch = std::make_shared<Batch>();
        for (const std::string& channel : channels) {
            ++id;
            batch->push_back({.id = id,
                              .position = static_cast<Position>(id),
                              .fingerprint = 0,
                              .dispatched = MonotonicClock::now(),
                              .ahead = false,
                              .channel = channel,
                              .element = "{\"id\":" + std::to_string(id) + ",\"m\":\"" +
                                         std::string(length, 'x') + "\"}"});
        }
        fan_out.publish(std::move(batch), 0);
    }
    // The channels that begin with "own" are personal. `confirmed`: for so long from now on.
    void subscribe(Page& page, const std::vector<std::string>& channels, Position since,
                   Duration confirmed = -1s) {
        std::vector<bool> personal;
        for (const std::string& channel : channels)
            personal.push_back(channel.starts_with("own"));
        fan_out.subscribe(page, {channels, personal, MonotonicClock::now() + confirmed}, since);
        page.fan_out = &fan_out;
    }

    MovedClock<MonotonicClock> clock;
    FanOut fan_out{{.queue_bytes = 1000, .queue_time = 5s, .frame_bytes = 200}};
    Id id = 0;
};

TEST_F(FanOutConfirmationTest, WhoIsConfirmedWaitsForNothing) {
    Page page;
    subscribe(page, {"own", "all"}, 0, 10s);
    publish({"own", "all", "own"});
    EXPECT_EQ(page.ids, Ids({1, 2, 3}));
    EXPECT_EQ(page.wanted, 0);
    clock.move(11s);
    publish({"all"});
    EXPECT_EQ(page.ids, Ids({1, 2, 3, 4}));
    EXPECT_EQ(page.wanted, 0);
    publish({"own"});
    EXPECT_EQ(page.ids, Ids({1, 2, 3, 4}));
    EXPECT_EQ(page.wanted, 1);
}

TEST_F(FanOutConfirmationTest, WhatComesBeforeGoesAtOnceAndWhatComesBehindKeepsItsPlace) {
    Page page, confirmed;
    subscribe(page, {"own", "all"}, 0);
    subscribe(confirmed, {"own", "all"}, 0, 10s);
    publish({"all", "own", "all"});
    publish({"all"});
    EXPECT_EQ(confirmed.ids, Ids({1, 2, 3, 4}));
    EXPECT_EQ(page.ids, Ids({1}));
    EXPECT_EQ(page.delivered(), 1u) << "from where it would resume";
    EXPECT_TRUE(page.is_behind());
    EXPECT_EQ(page.wanted, 1);
    fan_out.confirm(page, MonotonicClock::now() + 10s);
    EXPECT_EQ(page.ids, Ids({1, 2, 3, 4}));
    EXPECT_FALSE(page.is_behind());
    publish({"own"});
    EXPECT_EQ(page.ids.back(), 5);
    EXPECT_EQ(page.wanted, 1);
}

TEST_F(FanOutConfirmationTest, WhatIsNotConfirmedInTimeIsDeliveredAndCounted) {
    Page page;
    subscribe(page, {"own", "all"}, 0);
    publish({"own", "all", "own"});
    const uint64_t before = delivered_unconfirmed();
    fan_out.pass(page);
    EXPECT_EQ(page.ids, Ids({1, 2, 3}));
    EXPECT_EQ(delivered_unconfirmed() - before, 2u);
    publish({"own"});
    EXPECT_EQ(page.ids, Ids({1, 2, 3})) << "it waits anew";
    EXPECT_EQ(page.wanted, 2);
    fan_out.confirm(page, MonotonicClock::now() + 10s);
    fan_out.pass(page); // too late
    EXPECT_EQ(page.ids, Ids({1, 2, 3, 4}));
    EXPECT_EQ(delivered_unconfirmed() - before, 2u);
}

TEST_F(FanOutConfirmationTest, WhoHasEndedIsGivenNothingAndCountsForNothing) {
    Page page;
    subscribe(page, {"own"}, 0);
    publish({"own"});
    page.closed = true;
    const uint64_t before = delivered_unconfirmed();
    fan_out.pass(page);
    EXPECT_EQ(page.ids, Ids());
    EXPECT_EQ(delivered_unconfirmed(), before);
}

TEST_F(FanOutConfirmationTest, AnAnswerThatComesLateConfirmsWhatWaitedForIt) {
    Page page;
    subscribe(page, {"own"}, 0);
    publish({"own"});
    fan_out.confirm(page, MonotonicClock::now() - 1s);
    EXPECT_EQ(page.ids, Ids({1}));
    publish({"own"});
    EXPECT_EQ(page.ids, Ids({1}));
}

TEST_F(FanOutConfirmationTest, WhatWaitsOnAChannelThatIsTakenBackIsNotDelivered) {
    Page page;
    subscribe(page, {"own", "own too", "all"}, 0);
    publish({"own", "own too", "all"});
    EXPECT_EQ(page.ids, Ids());
    subscribe(page, {"own too", "all"}, page.delivered(), 10s);
    EXPECT_EQ(page.ids, Ids({2, 3}));
    EXPECT_FALSE(page.is_behind());
}

TEST_F(FanOutConfirmationTest, AChannelThatThePageNamesFromNowOnDoesNotWaitAndViceVersa) {
    Page page;
    const std::vector<std::string> names = {"x"};
    subscribe(page, {}, 0);
    fan_out.subscribe(page, {names, {false}, {}}, 0);
    publish({"x"});
    EXPECT_EQ(page.ids, Ids({1}));
    fan_out.subscribe(page, {names, {true}, {}}, 0);
    publish({"x"});
    EXPECT_EQ(page.ids, Ids({1}));
    fan_out.subscribe(page, {names, {false}, {}}, 0);
    EXPECT_EQ(page.ids, Ids({1, 2}));
}

TEST_F(FanOutConfirmationTest, WhatIsResumedWaitsToo) {
    publish({"all", "own", "all"});
    Page page;
    subscribe(page, {"own", "all"}, 0);
    EXPECT_EQ(page.ids, Ids({1}));
    fan_out.confirm(page, MonotonicClock::now() + 10s);
    EXPECT_EQ(page.ids, Ids({1, 2, 3}));
}

TEST_F(FanOutConfirmationTest, AConfirmationEndsWhileTheClientDoesNotRead) {
    Page page;
    subscribe(page, {"own", "all"}, 0, 1s);
    page.room = 0;
    publish({"all", "own"});
    clock.move(2s);
    page.room = 10;
    fan_out.drain(page);
    EXPECT_EQ(page.ids, Ids({1}));
    EXPECT_EQ(page.wanted, 1);
}

TEST_F(FanOutConfirmationTest, WhatWaitsIsBoundedInBytesAndIsNoSignOfASlowClient) {
    Page page;
    subscribe(page, {"own"}, 0);
    publish({"own"}, 900);
    publish({"own"}, 900);
    clock.move(6s); // more than queue_time
    fan_out.check_progress(page, MonotonicClock::now());
    EXPECT_FALSE(page.closed);
    publish({"own"}, 900);
    fan_out.check_progress(page, MonotonicClock::now());
    EXPECT_TRUE(page.closed);
    EXPECT_EQ(page.ids, Ids());
}

TEST_F(FanOutConfirmationTest, AManyTimesLargerBurstClosesItAtOnce) {
    Page page;
    subscribe(page, {"own"}, 0);
    publish(std::vector<std::string>(20, "own"), 100);
    EXPECT_TRUE(page.closed);
    EXPECT_EQ(page.wanted, 0);
}

class Rows final : public CatchUp::Owner {
public:
    virtual ~Rows() = default;
    void ask_table(Id last, const std::vector<std::string>&) override { asked.push_back(last); }
    void tell_last_id_reset(Id) override {}
    void tell_outdated() override {}
    Ids asked;
};

TEST_F(FanOutConfirmationTest, RowsOfTheTableWaitAsTheHistoryDoes) {
    DatabaseFeed feed("db", {.queue_bytes = SIZE_MAX, .queue_time = Duration::max()});
    MovedClients moved_clients;
    const Provenance provenance{};
    const Resume resume(feed, moved_clients, provenance);
    const std::vector<std::string> channels = {"own", "all"};
    const auto page_of = [](Id row, const std::string& channel, bool more) {
        ReplayAnswer page;
        page.more = more;
        page.next = row;
        page.elements.push_back({row, channel, "{\"id\":" + std::to_string(row) + "}"});
        return page;
    };
    Rows rows;
    Page page;
    FromTable decision;
    decision.channels = channels;
    CatchUp catch_up(feed, page, rows, decision);
    catch_up.start({channels, {true, false}, MonotonicClock::now() - 1s});
    EXPECT_EQ(catch_up.answered(page_of(1, "all", true), resume), CatchUp::Progress::waits);
    EXPECT_EQ(page.ids, Ids({1}));
    EXPECT_EQ(page.wanted, 0);
    EXPECT_EQ(rows.asked, Ids({0, 1}));
    EXPECT_EQ(catch_up.answered(page_of(2, "own", true), resume), CatchUp::Progress::waits);
    EXPECT_EQ(page.ids, Ids({1}));
    EXPECT_EQ(page.wanted, 1);
    const uint64_t before = delivered_unconfirmed();
    feed.fan_out.pass(page);
    EXPECT_EQ(catch_up.confirmed(resume, false), CatchUp::Progress::waits);
    EXPECT_EQ(page.ids, Ids({1, 2}));
    EXPECT_EQ(delivered_unconfirmed() - before, 1u);
    EXPECT_EQ(catch_up.answered(page_of(3, "own", false), resume), CatchUp::Progress::waits);
    feed.fan_out.confirm(page, MonotonicClock::now() + 10s);
    EXPECT_EQ(catch_up.confirmed(resume, true), CatchUp::Progress::done);
    EXPECT_EQ(page.ids, Ids({1, 2, 3}));
    EXPECT_EQ(delivered_unconfirmed() - before, 1u);
    feed.fan_out.unsubscribe(page);
}

// What a page is to have been given by now, kept apart from the fan-out: everything of its channels in order,
// up to the first personal notification for which it was neither confirmed nor passed.
class Reference {
public:
    struct Item {
        Id id;
        std::string channel;
    };

    void publish(const Item& item) {
        if (channels.contains(item.channel))
            waiting.push_back(item);
    }
    void subscribe(const std::set<std::string>& wanted) {
        std::erase_if(waiting, [&wanted](const Item& item) { return !wanted.contains(item.channel); });
        channels = wanted;
    }
    // Returns whether something waits for a confirmation.
    bool settle(Monotonic now) {
        while (!waiting.empty()) {
            const Item& item = waiting.front();
            if (item.channel.starts_with("own") && now >= confirmed_until && item.id > passed)
                return true;
            delivered.push_back(item.id);
            waiting.pop_front();
        }
        return false;
    }
    void confirm(Monotonic until) {
        for (; !waiting.empty(); waiting.pop_front())
            delivered.push_back(waiting.front().id);
        confirmed_until = std::max(confirmed_until, until);
    }

    std::set<std::string> channels;
    std::deque<Item> waiting;
    Ids delivered;
    Monotonic confirmed_until;
    Id passed = 0;
};

// Random batches, subscribes, sockets that take nothing, confirmations, and time that passes.
TEST_F(FanOutConfirmationTest, RandomSchedulesDeliverWhatIsConfirmedExactlyOnceAndInOrder) {
    const uint64_t seed = test_seed();
    SCOPED_TRACE(again(seed));
    std::mt19937_64 random(seed);
    const std::vector<std::string> names = {"own 1", "own 2", "all 1", "all 2"};
    constexpr Duration HOUR = 1h; // the time that the test itself takes is none
    for (int schedule = 0; schedule < 400; ++schedule) {
        FanOut many{{.queue_bytes = SIZE_MAX, .queue_time = Duration::max(), .frame_bytes = 60}};
        // What a socket has not taken of a channel that is left would not be delivered: not both.
        const bool may_block = schedule % 2 == 0;
        std::vector<Page> pages(3);
        std::vector<Reference> references(3);
        const auto subscribe_to = [&](size_t i, const std::vector<std::string>& wanted, Monotonic until) {
            std::vector<bool> personal;
            for (const std::string& name : wanted)
                personal.push_back(name.starts_with("own"));
            references[i].settle(MonotonicClock::now());
            references[i].subscribe({wanted.begin(), wanted.end()});
            references[i].confirmed_until = std::max(references[i].confirmed_until, until);
            many.subscribe(pages[i], {wanted, personal, until}, many.head());
        };
        for (size_t i = 0; i < pages.size(); ++i)
            subscribe_to(i, names, MonotonicClock::now() + HOUR * 3 / 2);
        Id row = 0;
        for (int step = 0; step < 80; ++step) {
            const size_t i = random() % pages.size();
            const Monotonic until = MonotonicClock::now() + HOUR * (random() % 3) + HOUR / 2;
            switch (random() % 7) {
            case 0:
                if (may_block)
                    pages[i].room = static_cast<int>(random() % 3);
                break;
            case 1:
                clock.move(HOUR * (random() % 3));
                break;
            case 2:
                many.confirm(pages[i], until);
                references[i].confirm(until);
                break;
            case 3:
                if (pages[i].wants_confirmation())
                    references[i].passed = row;
                many.pass(pages[i]);
                break;
            case 4:
                if (!may_block) {
                    std::vector<std::string> wanted;
                    std::ranges::copy_if(names, std::back_inserter(wanted),
                                         [&](const auto&) { return random() % 4 != 0; });
                    subscribe_to(i, wanted, until);
                }
                break;
            default:
                auto batch = std::make_shared<Batch>();
                for (size_t n = random() % 3 + 1; n > 0; --n) {
                    const std::string& name = names[random() % names.size()];
                    ++row;
                    batch->push_back({row, static_cast<Position>(row), 0, MonotonicClock::now(), false, name,
                                      "{\"id\":" + std::to_string(row) + "}"});
                    for (Reference& reference : references)
                        reference.publish({row, name});
                }
                many.publish(std::move(batch), 0);
            }
            for (size_t n = 0; n < pages.size(); ++n) {
                if (may_block && random() % 2)
                    many.drain(pages[n]);
                const bool waits = references[n].settle(MonotonicClock::now());
                const Ids &got = pages[n].ids, &due = references[n].delivered;
                ASSERT_TRUE(std::ranges::equal(got, std::span(due).first(std::min(got.size(), due.size()))));
                if (!may_block) {
                    ASSERT_EQ(got, due);
                    ASSERT_EQ(pages[n].is_behind(), waits);
                    ASSERT_TRUE(pages[n].wants_confirmation() || !waits);
                }
            }
        }
        for (size_t i = 0; i < pages.size(); ++i) {
            pages[i].room = 1'000'000;
            many.confirm(pages[i], MonotonicClock::now() + 1s);
            references[i].confirm(MonotonicClock::now() + 1s);
            ASSERT_EQ(pages[i].ids, references[i].delivered);
            ASSERT_TRUE(std::ranges::is_sorted(pages[i].ids));
            many.unsubscribe(pages[i]);
        }
    }
}

} // namespace
