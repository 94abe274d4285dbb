// What Odoo is told about who is there, and when it may be told that somebody has gone.
#include "auth/odoo/odoo_presence.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace odoo_bus {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr Monotonic START;

class OdooPresenceTest : public testing::Test {
protected:
    struct Sent {
        std::string path;
        std::function<std::string()> body;
    };
    std::vector<Sent> sent; // and waits for its turn
    OdooPresence presence{[this](const OdooSubject&, const char* path, auto body) {
        sent.push_back({path, std::move(body)});
    }};
    const Grant user{.database = "mydb",
                     .channels = {R"(["mydb","broadcast"])", R"(["mydb","res.partner",3])"}};

    static OdooSubject subject(const std::string& session, const std::string& version = "19.0-2") {
        OdooSubject subject;
        auto who = std::make_shared<Requester>();
        who->worker_version = version;
        subject.requester = who;
        subject.identity.is_public = false;
        subject.identity.cookies = {{"session_id", session}};
        subject.client = Sha256().add(session).finish();
        return subject;
    }
    static UpdatePresence inactive(int64_t period) {
        UpdatePresence presence;
        presence.inactivity_period = period;
        return presence;
    }
    // Whether Odoo is told that somebody has gone.
    bool tells(const std::string& version = "19.0-2") {
        sent.clear();
        presence.left(subject("gone", version), START);
        presence.tick(START + 4s);
        EXPECT_THAT(sent, IsEmpty()) << "a page may be loaded anew";
        presence.tick(START + 6s);
        return !sent.empty();
    }
};

} // namespace

TEST_F(OdooPresenceTest, TheLatestOneIsSentOnce) {
    presence.update(subject("a"), inactive(1));
    presence.update(subject("b"), inactive(2));
    presence.update(subject("a"), inactive(3'000));
    ASSERT_EQ(sent.size(), 2u);
    EXPECT_EQ(sent[0].path, "/websocket/update_bus_presence");
    EXPECT_THAT(sent[0].body(), HasSubstr("\"inactivity_period\":3000"));
    presence.update(subject("a"), inactive(4'000)); // the former one was sent
    ASSERT_EQ(sent.size(), 3u);
    EXPECT_THAT(sent[2].body(), HasSubstr("\"inactivity_period\":4000"));
    for (const int64_t wrong : {int64_t{-1}, (int64_t{1} << 31) + 1})
        presence.update(subject("a"), inactive(wrong));
    EXPECT_EQ(sent.size(), 3u);
    presence.update(subject("a"), inactive(int64_t{1} << 31));
    EXPECT_EQ(sent.size(), 4u);
}

TEST_F(OdooPresenceTest, WhoComesBackHasNotGone) {
    presence.left(subject("a", "17.0-1"), START);
    presence.came(subject("a").client);
    presence.tick(START + 1h);
    EXPECT_THAT(sent, IsEmpty());
}

TEST_F(OdooPresenceTest, BeforeIdsChangeAnybodyMayBeSaidToHaveGone) {
    EXPECT_TRUE(tells("17.0-1"));
    EXPECT_TRUE(tells("18.0-3"));
    EXPECT_FALSE(tells("19.0-2"));
    EXPECT_FALSE(tells(""));
    presence.rotated(); // it calls itself what it is not
    EXPECT_FALSE(tells("18.0-3"));
}

TEST_F(OdooPresenceTest, ABuildThatLeavesOldSessionsAloneIsRecognised) {
    presence.granted("s", user, false, START);
    presence.granted("s", user, false, START + 3h);
    EXPECT_FALSE(tells());
    presence.granted("s", user, false, START + 4h);
    EXPECT_TRUE(tells());
    presence.rotated(); // another build runs now
    EXPECT_FALSE(tells());
    presence.granted("s", user, false, START + 5h);
    EXPECT_FALSE(tells()) << "its age is not known any more";
}

// Such answers leave old sessions alone in every build.
TEST_F(OdooPresenceTest, WhatSaysNothingOfOldSessions) {
    presence.granted("s", user, false, START);
    presence.granted("s", user, true, START + 4h); // another one in its place, or the same one set again
    EXPECT_FALSE(tells());
    for (const char* channel : {R"(["mydb","broadcast"])", R"(["mydb","res.partner",3,"presence"])",
                                R"(["mydb","res.partner",])", R"(["mydb","res.partner",3x])",
                                R"(["mydb","x\",\"res.partner\",3"])", R"(["other","res.partner",3])"}) {
        presence.granted("v", {.database = "mydb", .channels = {channel}}, false, START);
        presence.granted("v", {.database = "mydb", .channels = {channel}}, false, START + 4h);
        EXPECT_FALSE(tells()) << channel;
    }
    presence.granted("", user, false, START);
    presence.granted("", user, false, START + 4h);
    EXPECT_FALSE(tells());
}

} // namespace odoo_bus
