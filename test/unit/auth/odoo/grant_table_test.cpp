// Who is asked about again, when, and what becomes of it; sessions that are renewed; versions of pages; what
// is passed on to Odoo.
#include "auth/odoo/grant_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "auth/odoo/session_rotation.h"
#include "auth/odoo/worker_version.h"
#include "server/odoo_proxy.h"

namespace odoo_bus {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

struct FakeClient final : Client {
    std::vector<int> closes;
    std::vector<std::vector<std::string>> grants;
    std::vector<Monotonic> confirmations;
    bool has_waited = false;
    Position position = 0;

    void take_back(const Refusal& refusal) override { closes.push_back(refusal.close_code); }
    void regrant(const Grant& grant) override { grants.push_back(grant.channels); }
    bool confirmed(Monotonic until) override {
        confirmations.push_back(until);
        return has_waited;
    }
    void unconfirmed() override {}
    Position received() const override { return position; }
};

class OdooRosterTest : public testing::Test {
protected:
    GrantTable grants;
    FakeClient client[3];
    std::vector<std::shared_ptr<ConnectionLink>> links;
    Monotonic now = MonotonicClock::now();

    void SetUp() override {
        for (FakeClient& each : client)
            links.push_back(std::make_shared<ConnectionLink>(each, [](const Loop::Task& task) { task(); }));
    }
    static OdooSubject subject(const std::string& session, const std::string& channel) {
        OdooSubject subject;
        subject.requester = std::make_shared<Requester>();
        subject.identity.cookies = {{"session_id", session}};
        subject.channels = {channel};
        subject.client = Sha256().add(session).finish();
        subject.key = Sha256().add(session).add(channel).finish();
        return subject;
    }
    void add(int i, const std::string& session, const std::string& channel, Monotonic due = {}) {
        grants.add(links[static_cast<size_t>(i)], subject(session, channel),
                   std::make_shared<Grant>(Grant{"mydb", {channel}}), now, due);
    }
    void receive(int i, Position position) {
        client[i].position = position;
        links[static_cast<size_t>(i)]->note_received();
    }
    std::shared_ptr<GrantTable::Entry> due() { return grants.next_due(now, 300s); }
};

TEST_F(OdooRosterTest, WhoReceivesNothingIsNotAskedAbout) {
    add(0, "anna", "a");
    EXPECT_EQ(due(), nullptr);
    receive(0, 5);
    EXPECT_EQ(due(), nullptr); // it is looked at once a second
    now += 1s;
    const auto entry = due();
    ASSERT_TRUE(entry);
    EXPECT_EQ(grants.longest_unchecked(now), 1s);
    grants.renew(*entry, *entry->grant, now, now + 300s);
    EXPECT_EQ(grants.longest_unchecked(now), 0s);
    now += 400s;
    EXPECT_EQ(due(), nullptr);
}

TEST_F(OdooRosterTest, ConnectionsThatAskedTheSameAreOneQuestion) {
    add(0, "anna", "a");
    add(1, "anna", "a");
    add(2, "anna", "b");
    EXPECT_EQ(grants.size(), 2u);
    receive(0, 1);
    const auto entry = due();
    ASSERT_TRUE(entry);
    grants.renew(*entry, {"mydb", {"a", "new"}}, now + 1us, now + 1s);
    EXPECT_THAT(client[0].grants, ElementsAre(ElementsAre("a", "new")));
    EXPECT_THAT(client[1].grants, ElementsAre(ElementsAre("a", "new")));
    EXPECT_THAT(client[2].grants, IsEmpty());
    EXPECT_EQ(grants.remove(links[0]), std::nullopt);
    EXPECT_EQ(grants.remove(links[1]), std::nullopt);
    EXPECT_TRUE(grants.remove(links[2])); // the last of this client
    EXPECT_EQ(grants.size(), 0u);
}

TEST_F(OdooRosterTest, WhatWasReceivedWhileTheQuestionWasOnItsWayIsNotChecked) {
    add(0, "anna", "a");
    receive(0, 1);
    const auto entry = due();
    ASSERT_TRUE(entry);
    receive(0, 2);
    grants.renew(*entry, *entry->grant, now, now);
    EXPECT_FALSE(grants.next_due(now, 1s)) << "asking";
    entry->asking = false;
    now += 1s;
    EXPECT_TRUE(due());
}

TEST_F(OdooRosterTest, AReasonThatComesWhileTheQuestionIsOnItsWayCounts) {
    add(0, "anna", "a");
    const auto all = [](const GrantTable::Entry&) { return true; };
    EXPECT_EQ(grants.hurry(now, all), 1u);
    const auto entry = due();
    ASSERT_TRUE(entry);
    const Monotonic asked = now;
    now += 1s;
    grants.hurry(now, all);
    entry->asking = false;
    grants.renew(*entry, *entry->grant, asked, now + 300s);
    EXPECT_TRUE(due());
}

TEST_F(OdooRosterTest, AnAnswerThatChangesNothingConfirms) {
    add(0, "anna", "a");
    add(1, "anna", "a");
    receive(0, 1);
    const auto entry = due();
    ASSERT_TRUE(entry);
    grants.renew(*entry, *entry->grant, now, now, now + 300s);
    EXPECT_THAT(client[0].confirmations, ElementsAre(now + 300s));
    EXPECT_THAT(client[1].confirmations, ElementsAre(now + 300s));
    EXPECT_THAT(client[0].grants, IsEmpty());
    EXPECT_EQ(entry->confirmed, now);
}

TEST_F(OdooRosterTest, ASubscribeThatIsGrantedLessEndsTheFormerGrantOfTheOthers) {
    add(0, "anna", "a");
    add(1, "anna", "a");
    EXPECT_THAT(client[0].grants, IsEmpty());
    now += 1s;
    grants.add(links[1], subject("anna", "a"), std::make_shared<Grant>(Grant{"mydb", {"less"}}), now, now);
    EXPECT_THAT(client[0].grants, ElementsAre(ElementsAre("less")));
    EXPECT_THAT(client[1].grants, IsEmpty()) << "it is told the decision";
}

TEST_F(OdooRosterTest, AnOlderAnswerChangesNothing) {
    add(0, "anna", "a");
    receive(0, 1);
    const auto entry = due();
    grants.renew(*entry, {"mydb", {"older"}}, now - 1s, now);
    EXPECT_THAT(client[0].grants, IsEmpty());
}

TEST_F(OdooRosterTest, ClosesThoseThatAreMeantAndNobodyWhoHasGone) {
    add(0, "anna", "a");
    add(1, "bert", "a");
    add(2, "anna", "b");
    links[2]->cut();
    grants.close([](const GrantTable::Entry& entry) { return entry.subject.session() == "anna"; },
                 {.close_code = 4001, .reason = ""});
    EXPECT_THAT(client[0].closes, ElementsAre(4001));
    EXPECT_THAT(client[1].closes, IsEmpty());
    EXPECT_THAT(client[2].closes, IsEmpty());
}

TEST_F(OdooRosterTest, WhoHasGoneBeforeTheGrantIsNotKept) {
    links[0]->cut();
    add(0, "anna", "a");
    EXPECT_FALSE(grants.has(subject("anna", "a").client));
}

// --- sessions that are renewed ---

const std::string OLD = std::string(42, 's') + std::string(42, 'o');
const std::string NEW = std::string(42, 's') + std::string(42, 'n');

TEST(SessionRotations, OnlyTheSameSessionIsRenewed) {
    EXPECT_TRUE(SessionRotations::is_rotation(OLD, NEW));
    EXPECT_FALSE(SessionRotations::is_rotation(OLD, OLD));
    EXPECT_FALSE(SessionRotations::is_rotation(OLD, std::string(84, 'p'))); // a public one in its place
    EXPECT_FALSE(SessionRotations::is_rotation(std::string(40, 'a'), std::string(40, 'b'))); // 17.0
    EXPECT_FALSE(SessionRotations::is_rotation("", NEW));
}

TEST(SessionRotations, ABrowserThatShowsTheOldOneGetsTheNewOneForTwoMinutes) {
    SessionRotations rotations;
    rotations.add({OLD, NEW, "session_id=" + NEW + "; Path=/; HttpOnly"}, Monotonic());
    const auto shown = [&](bool same_host, const std::string& id, Duration age) {
        Requester who;
        who.same_host = same_host;
        who.cookies = {{"x", OLD}, {"session_id", id}};
        rotations.renew(who, Monotonic() + age);
        EXPECT_EQ(who.cookies[0].second, OLD);
        return std::pair(who.cookies[1].second, who.new_cookie);
    };
    EXPECT_EQ(shown(true, OLD, 119s), std::pair(NEW, "session_id=" + NEW + "; Path=/; HttpOnly"));
    EXPECT_EQ(shown(true, OLD, 120s), std::pair(OLD, std::string()));
    EXPECT_EQ(shown(false, OLD, 1s), std::pair(OLD, std::string()));
    EXPECT_EQ(shown(true, NEW, 1s), std::pair(NEW, std::string()));
}

TEST(SessionRotations, AnOddCookieIsWrittenAnew) {
    SessionRotations rotations;
    rotations.add({OLD, NEW, "session_id=" + NEW + "; Comment=\xff"}, Monotonic());
    Requester who;
    who.same_host = true;
    who.cookies = {{"session_id", OLD}};
    rotations.renew(who, Monotonic());
    EXPECT_EQ(who.new_cookie, "session_id=" + NEW + "; Max-Age=604800; HttpOnly; Path=/");
}

// --- versions of pages ---

TEST(WorkerVersion, WhatTheLoginPageSays) {
    EXPECT_EQ(WorkerVersion::find(R"(x {"websocket_worker_version": "19.0-2", "y": 1})"), "19.0-2");
    EXPECT_EQ(WorkerVersion::find(R"("bus_info": {"last_id": 3, "worker_version":"20.0-1"})"), "20.0-1");
    for (const char* page : {"", "worker_version", R"(worker_version": )", R"(worker_version": 19})",
                             R"(worker_version": "19.0)", R"(worker_version": "<script>")",
                             R"(worker_version": "")", R"(worker_version""19")"})
        EXPECT_EQ(WorkerVersion::find(page), std::nullopt) << page;
}

// --- what is passed on ---

std::string passed_on(const std::string& head, bool trusted = true) {
    RequestHead request(16384);
    request.feed(head + "\r\n\r\n");
    EXPECT_EQ(request.state(), RequestHead::State::complete) << head;
    const Trust trust{trusted ? std::vector<Network>{*Network::parse("127.0.0.1")} : std::vector<Network>{},
                      {}};
    return OdooProxy::request(request, "body", make_requester(request, Address::parse("127.0.0.1"), trust));
}

TEST(OdooProxy, TheHeadIsWrittenAnew) {
    EXPECT_EQ(
        passed_on("POST /bus/x?a=b HTTP/1.1\r\nHost: a\r\nCookie: c\r\nConnection: keep-alive\r\n"
                  "Accept-Encoding: gzip\r\nUpgrade: h2c\r\nTE: trailers\r\nExpect: 100-continue\r\n"
                  "X-Odoo-Database: other\r\nAuthorization: Basic secret\r\nX-Tab: a\tb\r\n"
                  "Content-Length: 4\r\nX-Forwarded-For: 192.0.2.1"),
        "POST /bus/x?a=b HTTP/1.1\r\nHost: a\r\nCookie: c\r\nX-Tab: a b\r\nX-Forwarded-For: 192.0.2.1\r\n"
        "Connection: close\r\nContent-Length: 4\r\n\r\nbody");
    EXPECT_THAT(passed_on("HEAD /bus/x HTTP/1.1\r\nHost: a"), HasSubstr("GET /bus/x HTTP/1.1\r\n"));
}

TEST(OdooProxy, AStrangerSaysNothingOfProxies) {
    EXPECT_THAT(
        passed_on("GET /bus/x HTTP/1.1\r\nHost: a\r\nX-Forwarded-Host: evil\r\nX-Forwarded-For: evil\r\n"
                  "Forwarded: for=evil\r\nX-Real-IP: evil",
                  false),
        Not(HasSubstr("evil")));
}

} // namespace
} // namespace odoo_bus
