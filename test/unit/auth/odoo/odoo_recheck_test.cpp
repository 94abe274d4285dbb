// For whom Odoo is asked while notifications wait: once for a session, within the rate, and for nobody in
// vain.
#include "auth/odoo/odoo_recheck.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>

#include "moved_clock.h"

namespace odoo_bus {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr Duration INTERVAL = 300s;

struct FakeClient final : Client {
    std::vector<int> closes;
    std::vector<Grant> grants;
    std::vector<Monotonic> confirmations;
    bool has_waited = false;
    int overdue = 0;
    Position position = 0;

    void take_back(const Refusal& refusal) override { closes.push_back(refusal.close_code); }
    void regrant(const Grant& grant) override { grants.push_back(grant); }
    bool confirmed(Monotonic until) override {
        confirmations.push_back(until);
        return has_waited;
    }
    void unconfirmed() override { ++overdue; }
    Position received() const override { return position; }
};

// Odoo, the clock, and connections whose grants were asked for long ago.
class OdooRecheckTest : public testing::Test {
protected:
    struct Question {
        OdooSubject subject;
        OdooQueue::Priority priority;
        OdooPort::OnPeek on_peek;
    };
    struct Connection {
        FakeClient client;
        std::shared_ptr<ConnectionLink> link;
    };

    MovedClock<MonotonicClock> clock;
    Options options;
    GrantTable grants;
    GrantCache cache{"", 60s};
    OdooPresence presence{[](const auto&, const char*, const std::function<std::string()>&) {}};
    std::vector<Question> questions;
    bool answers = true, shows_logouts = false;
    OdooRecheck recheck{
        options,
        {.ask =
             [this](const OdooSubject& subject, OdooQueue::Priority priority, OdooPort::OnPeek on_peek) {
                 questions.push_back({subject, priority, std::move(on_peek)});
             },
         .answers = [this] { return answers; },
         .shows_logouts = [this] { return shows_logouts; }},
        grants,
        cache,
        presence};
    std::deque<Connection> connections;

    void SetUp() override {
        options.recheck_interval = std::chrono::duration_cast<Milliseconds>(INTERVAL);
        options.recheck_rate = 10;
        recheck.start(now());
    }
    static Monotonic now() { return MonotonicClock::now(); }
    static std::string own(const std::string& session) {
        return R"(["mydb","res.partner",")" + session + "\"]";
    }
    static OdooSubject subject(const std::string& session, const std::string& named) {
        OdooSubject subject;
        subject.requester = std::make_shared<Requester>();
        subject.identity.cookies = {{"session_id", session}};
        subject.channels = {named};
        subject.client = Sha256().add(session).finish();
        subject.key = Sha256().add(session).add(named).finish();
        return subject;
    }
    static Grant grant(const std::string& session, const std::string& named) {
        Grant grant{"mydb", {own(session), R"(["mydb",")" + named + "\"]"}};
        grant.personal = {true, false};
        return grant;
    }
    Connection& connect(const std::string& session, const std::string& named = "a") {
        Connection& connection = connections.emplace_back();
        connection.link =
            std::make_shared<ConnectionLink>(connection.client, [](const Loop::Task& task) { task(); });
        grants.add(connection.link, subject(session, named), std::make_shared<Grant>(grant(session, named)),
                   now(), now() + recheck.period());
        return connection;
    }
    void idle(Duration time = INTERVAL + 1s) {
        clock.move(time);
        recheck.tick(now());
    }
    void wait(const Connection& connection) { recheck.confirm(connection.link, now()); }
    void answer(size_t question, PeekAnswer given) {
        const auto on_peek = questions.at(question).on_peek;
        on_peek({std::move(given), now(), false});
    }
};

TEST_F(OdooRecheckTest, IsAskedAtOnceAndConfirmsForAnInterval) {
    Connection& anna = connect("anna");
    idle();
    EXPECT_THAT(questions, IsEmpty()) << "nothing was received";
    wait(anna);
    ASSERT_EQ(questions.size(), 1u);
    EXPECT_EQ(questions[0].priority, OdooQueue::Priority::interactive);
    answer(0, grant("anna", "a"));
    EXPECT_THAT(anna.client.confirmations, ElementsAre(testing::Gt(now() + INTERVAL - 1s)));
    wait(anna); // what came before the confirmation was known there
    EXPECT_EQ(questions.size(), 1u);
    EXPECT_EQ(anna.client.confirmations.size(), 2u);
    EXPECT_EQ(anna.client.overdue, 0);
}

TEST_F(OdooRecheckTest, ASessionThatReceivesSomethingAllTheTimeIsConfirmedBeforeItHasTo) {
    Connection& anna = connect("anna");
    const Monotonic begin = now();
    Monotonic until = begin + INTERVAL;
    while (now() - begin < 5 * INTERVAL) {
        ++anna.client.position;
        anna.link->note_received();
        idle(1s);
        ASSERT_LT(now(), until);
        if (questions.size() > anna.client.confirmations.size()) {
            answer(questions.size() - 1, grant("anna", "a"));
            until = anna.client.confirmations.back();
        }
    }
    EXPECT_EQ(questions.size(), 5u);
    EXPECT_EQ(questions.back().priority, OdooQueue::Priority::background);
}

TEST_F(OdooRecheckTest, WhatHasWaitedNeedsNoFurtherCheckAndWhatCameLaterDoes) {
    Connection& anna = connect("anna");
    idle();
    wait(anna);
    anna.client.has_waited = true;
    anna.client.position = 7;
    answer(0, grant("anna", "a"));
    anna.link->note_received();
    idle();
    idle(1s);
    EXPECT_EQ(questions.size(), 1u);
    anna.client.position = 8;
    anna.link->note_received();
    idle(1s);
    EXPECT_EQ(questions.size(), 2u);
}

TEST_F(OdooRecheckTest, OneQuestionServesAllConnectionsOfASession) {
    Connection &one = connect("anna"), &same = connect("anna"), &other_names = connect("anna", "b");
    Connection& bert = connect("bert");
    idle();
    for (const Connection* each : {&one, &same, &other_names, &bert})
        wait(*each);
    ASSERT_EQ(questions.size(), 2u);
    answer(0, grant("anna", "a"));
    for (const Connection* each : {&one, &same, &other_names})
        EXPECT_EQ(each->client.confirmations.size(), 1u);
    EXPECT_THAT(bert.client.confirmations, IsEmpty());
    answer(1, grant("bert", "a"));
    recheck.tick(now());
    EXPECT_EQ(questions.size(), 2u);
}

TEST_F(OdooRecheckTest, AnAnswerThatDoesNotNameAllOfAnothersChannelsDoesNotConfirmIt) {
    Connection& one = connect("anna");
    Connection& more = connections.emplace_back();
    more.link = std::make_shared<ConnectionLink>(more.client, [](const Loop::Task& task) { task(); });
    Grant wide = grant("anna", "b");
    wide.channels.emplace_back(R"(["mydb","discuss.channel",5])");
    wide.personal.push_back(true);
    grants.add(more.link, subject("anna", "b"), std::make_shared<Grant>(wide), now(), now() + INTERVAL);
    idle();
    wait(one);
    wait(more);
    ASSERT_EQ(questions.size(), 1u);
    answer(0, grant("anna", "a"));
    EXPECT_EQ(one.client.confirmations.size(), 1u);
    EXPECT_THAT(more.client.confirmations, IsEmpty());
    ASSERT_EQ(questions.size(), 2u);
    answer(1, grant("anna", "b")); // without the discuss channel
    ASSERT_EQ(more.client.grants.size(), 1u);
    EXPECT_EQ(more.client.grants[0].channels, grant("anna", "b").channels);
    EXPECT_EQ(more.client.grants[0].personal, std::vector<bool>({true, false}));
    EXPECT_GT(more.client.grants[0].confirmed_until, now() + INTERVAL - 1s);
}

TEST_F(OdooRecheckTest, TheRateIsKeptAndWhoWouldWaitLongerIsToldAtOnce) {
    for (int n = 0; n < 100; ++n)
        connect("user " + std::to_string(n));
    idle();
    for (const Connection& each : connections)
        wait(each);
    EXPECT_EQ(questions.size(), 10u) << "the burst";
    const auto told = std::ranges::count_if(connections, [](auto& each) { return each.client.overdue == 1; });
    EXPECT_NEAR(static_cast<double>(told), 80, 1) << "ten more may be asked within a second";
    const Monotonic begin = now();
    while (now() - begin < 1s)
        idle(50ms);
    EXPECT_NEAR(static_cast<double>(questions.size()), 20, 1);
    for (size_t n = 0; n < questions.size(); ++n)
        answer(n, grant("user " + std::to_string(n), "a"));
    EXPECT_NEAR(static_cast<double>(std::ranges::count_if(
                    connections, [](auto& each) { return each.client.confirmations.size() == 1; })),
                20, 1);
}

TEST_F(OdooRecheckTest, WhoWaitsComesBeforePeriodicChecks) {
    options.recheck_rate = 2;
    for (int n = 0; n < 50; ++n) {
        Connection& each = connect("user " + std::to_string(n));
        each.client.position = 1; // it has received something
        each.link->note_received();
    }
    Connection &first = connect("first"), &anna = connect("anna");
    idle();
    EXPECT_GT(questions.size(), 0u);
    wait(first);
    const size_t before = questions.size();
    wait(anna);
    EXPECT_EQ(questions.size(), before) << "no more are allowed now";
    while (questions.size() == before)
        idle(50ms);
    EXPECT_EQ(questions.back().subject.session(), "anna");
    EXPECT_EQ(anna.client.overdue, 0);
}

TEST_F(OdooRecheckTest, WhileAQuestionHangsNobodyWaitsForItTwice) {
    Connection& anna = connect("anna");
    idle();
    wait(anna);
    idle(2s);
    EXPECT_EQ(anna.client.overdue, 0) << "its own thread knows the time";
    wait(anna);
    EXPECT_EQ(anna.client.overdue, 1);
    EXPECT_EQ(questions.size(), 1u);
    answer(0, Unavailable{"it has timed out"});
    wait(anna);
    EXPECT_EQ(questions.size(), 2u);
}

TEST_F(OdooRecheckTest, WhileOdooIsKnownNotToAnswerNobodyWaits) {
    Connection& anna = connect("anna");
    idle();
    answers = false;
    wait(anna);
    EXPECT_EQ(anna.client.overdue, 1);
    EXPECT_THAT(questions, IsEmpty());
}

TEST_F(OdooRecheckTest, ASessionThatHasEndedIsNotAskedAboutAgain) {
    Connection &one = connect("anna"), &other_names = connect("anna", "b");
    idle();
    wait(one);
    wait(other_names);
    answer(0, Expired{}); // OdooPort has closed both
    idle(500ms);
    EXPECT_EQ(questions.size(), 1u);
    EXPECT_EQ(one.client.overdue + other_names.client.overdue, 0);
    EXPECT_THAT(one.client.confirmations, IsEmpty());
    EXPECT_THAT(other_names.client.confirmations, IsEmpty());
}

TEST_F(OdooRecheckTest, WhoIsToldToEndIsNotAskedAbout) {
    Connection& anna = connect("anna");
    idle();
    grants.close([](const GrantTable::Entry&) { return true; }, {.close_code = 4001, .reason = ""});
    wait(anna);
    EXPECT_THAT(questions, IsEmpty());
    Connection& again = connect("anna");
    idle();
    wait(again);
    EXPECT_EQ(questions.size(), 1u);
}

TEST_F(OdooRecheckTest, AReasonThatIsNewerThanTheQuestionNeedsAnother) {
    Connection& anna = connect("anna");
    idle();
    wait(anna);
    clock.move(1ms);
    grants.hurry(now(), [](const GrantTable::Entry&) { return true; });
    const auto on_peek = questions.at(0).on_peek;
    on_peek({grant("anna", "a"), now() - 1ms, false});
    EXPECT_THAT(anna.client.confirmations, IsEmpty());
    ASSERT_EQ(questions.size(), 2u);
    clock.move(1ms);
    answer(1, grant("anna", "a"));
    EXPECT_EQ(anna.client.confirmations.size(), 1u);
}

TEST_F(OdooRecheckTest, WhoHasLeftIsNotAskedAbout) {
    options.recheck_rate = 1;
    connect("other");
    Connection &anna = connect("anna"), &bert = connect("bert");
    idle();
    wait(connections[0]); // takes what may be asked at once
    wait(anna);
    grants.remove(anna.link);
    wait(bert);
    wait(anna);
    idle(900ms);
    idle(200ms);
    EXPECT_TRUE(std::ranges::none_of(questions,
                                     [](const Question& each) { return each.subject.session() == "anna"; }));
}

TEST_F(OdooRecheckTest, AfterATakeOverThoseThatWaitComeBackToTheOtherProcess) {
    options.recheck_rate = 1;
    Connection &asked = connect("anna"), &waits = connect("bert"), &late = connect("cleo");
    idle();
    wait(asked);
    wait(waits);
    recheck.retire();
    EXPECT_THAT(waits.client.closes, ElementsAre(4002));
    EXPECT_THAT(asked.client.closes, IsEmpty()) << "its answer is on its way";
    wait(late);
    EXPECT_THAT(late.client.closes, ElementsAre(4002));
    answer(0, grant("anna", "a"));
    EXPECT_EQ(asked.client.confirmations.size(), 1u);
    EXPECT_EQ(questions.size(), 1u);
}

TEST_F(OdooRecheckTest, NobodyIsToWaitWhereALogoutIsSeenOrCannotBe) {
    const Monotonic asked = now();
    OdooSubject visitor = subject("", "a");
    visitor.identity = {.cookies = {}, .guest_channel = "", .is_public = true};
    OdooSubject guest = visitor;
    guest.identity.guest_channel = "mail.guest_2|abc";
    EXPECT_EQ(recheck.confirmed_until(subject("anna", "a"), asked), asked + INTERVAL);
    EXPECT_EQ(recheck.confirmed_until(guest, asked), asked + INTERVAL);
    EXPECT_EQ(recheck.confirmed_until(visitor, asked), Monotonic::max());
    shows_logouts = true;
    EXPECT_EQ(recheck.confirmed_until(subject("anna", "a"), asked), Monotonic::max());
}

} // namespace
} // namespace odoo_bus
