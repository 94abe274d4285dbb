// What Odoo's answers mean, and what of them is believed.
#include "auth/odoo/odoo_answer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace odoo_bus {
namespace {

using testing::ElementsAre;

HttpAnswer answer(const std::string& body, int status = 200, const std::string& type = "application/json") {
    HttpAnswer answer({});
    answer.feed("HTTP/1.0 " + std::to_string(status) + " X\r\nContent-Type: " + type +
                "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
    return answer;
}

PeekAnswer peek(const std::string& body, int status = 200, const std::string& type = "application/json") {
    return read_peek(answer(body, status, type));
}

std::string result(const std::string& channels, const std::string& rest = "") {
    return R"({"jsonrpc":"2.0","id":1,"result":{"channels":)" + channels + rest + "}}";
}

std::vector<std::string> granted(const std::string& channels, const std::string& rest = "") {
    const PeekAnswer read = peek(result(channels, rest));
    const auto* grant = std::get_if<Grant>(&read);
    EXPECT_NE(grant, nullptr) << channels;
    return grant ? grant->channels : std::vector<std::string>{};
}

TEST(OdooAnswer, ChannelsAsTheyAreStored) {
    EXPECT_THAT(
        granted(R"([["mydb", "broadcast"], ["mydb","res.partner", 3], ["mydb","res.partner",3,"presence"],
                            ["mydb","broadcast"], ["mydb","a",true,false,null,-5]])"),
        ElementsAre(R"(["mydb","broadcast"])", R"(["mydb","res.partner",3])",
                    R"(["mydb","res.partner",3,"presence"])", R"(["mydb","a",true,false,null,-5])"));
    EXPECT_THAT(granted("[[\"mydb\",\"\xc3\xa9\\u00e9\\/\\ud83d\\ude00\\u0000\\u007f\"]]"),
                ElementsAre(R"(["mydb","\u00e9\u00e9/\ud83d\ude00\u0000\u007f"])"));
}

TEST(OdooAnswer, OneDatabaseAndKnownShapesOnly) {
    EXPECT_THAT(
        granted(R"([["mydb","a"],["other","b"],["MYDB","c"],["mydb"],"mydb",["mydb",["x"]],["mydb",{}],
                            ["mydb",1.5],[1,"x"],[],null,["mydb","d"]])"),
        ElementsAre(R"(["mydb","a"])", R"(["mydb","d"])"));
    EXPECT_THAT(granted(R"([["","a"],["mydb","b"],["","c"]])"), ElementsAre(R"(["mydb","b"])"));
}

TEST(OdooAnswer, NotificationsAreSteppedOver) {
    for (const char* text : {R"([{"id":1,"message":"\ud800"}])", "[123456789012345678901234567890]",
                             R"([{"channels":[["mydb","evil"]]}])", R"("]}],[\"channels\":")"})
        EXPECT_THAT(granted(R"([["mydb","a"]])", std::string(R"(,"notifications":)") + text),
                    ElementsAre(R"(["mydb","a"])"))
            << text;
}

TEST(OdooAnswer, WhatALenientParserRepairsIsNoChannel) {
    // "\ud800" would come out as another character, and so as another channel.
    EXPECT_TRUE(std::holds_alternative<Unavailable>(peek(result(R"([["mydb","\ud800"]])"))));
    EXPECT_TRUE(std::holds_alternative<Unavailable>(peek(result("[[\"mydb\",123456789012345678901]]"))));
}

TEST(OdooAnswer, OnlyCode100IsExpired) {
    const auto error = [](const std::string& code, const std::string& name) {
        return peek(R"({"error":{"code":)" + code + R"(,"data":{"name":")" + name +
                    R"(","debug":"secret"}}})");
    };
    EXPECT_TRUE(std::holds_alternative<Expired>(error("100", "odoo.http.SessionExpiredException")));
    EXPECT_EQ(std::get<Refused>(error("0", "odoo.http.SessionExpiredException")).name,
              "odoo.http.SessionExpiredException");
    EXPECT_EQ(std::get<Refused>(error("200", "builtins.ValueError")).name, "builtins.ValueError");
    EXPECT_EQ(std::get<Refused>(error("\"100\"", "a.B")).name, "a.B");
    for (const char* name : {"token=1", "a b", "a\\nb", "<b>"})
        EXPECT_EQ(std::get<Refused>(error("200", name)).name, "") << name;
    EXPECT_EQ(std::get<Refused>(error("200", std::string(200, 'a'))).name, "");
    EXPECT_EQ(std::get<Refused>(peek(R"({"error":"x","result":{"channels":[["mydb","a"]]}})")).name, "");
}

TEST(OdooAnswer, WhatIsNoAnswer) {
    EXPECT_TRUE(std::holds_alternative<NoDatabase>(peek("x", 404)));
    EXPECT_TRUE(std::holds_alternative<NoDatabase>(peek("", 303)));
    EXPECT_TRUE(std::holds_alternative<NoDatabase>(peek(result(R"([["mydb","a"]])"), 200, "text/html")));
    EXPECT_TRUE(std::holds_alternative<Unavailable>(peek(result(R"([["mydb","a"]])"), 500)));
    EXPECT_TRUE(std::holds_alternative<Unavailable>(peek(result(R"([["mydb","a"]])"), 429)));
    EXPECT_TRUE(std::holds_alternative<Refused>(peek(result(R"([["mydb","a"]])"), 400)));
    for (const std::string& body :
         {std::string(), std::string("null"), std::string("[]"), std::string("{}"),
          std::string("{\"result\":1}"), std::string("{\"result\":{}}"), result("{}"), result("[]"),
          result("1"), result("[[\"mydb\"]]"), std::string("{\"result\":"), std::string(200, '[')})
        EXPECT_TRUE(std::holds_alternative<Unavailable>(peek(body))) << body;
}

TEST(OdooAnswer, TooManyChannels) {
    std::string channels = R"(["mydb","0"])";
    for (int i = 1; i < 30'000; ++i)
        channels += R"(,["mydb",")" + std::to_string(i) + "\"]";
    EXPECT_TRUE(std::holds_alternative<Unavailable>(peek(result("[" + channels + "]"))));
}

TEST(OdooAnswer, IsBoundedInDepthAndNumber) {
    const auto nested = [](size_t levels) {
        return R"(,"notifications":)" + std::string(levels, '[') + std::string(levels, ']');
    };
    EXPECT_THAT(granted(R"([["mydb","a"]])", nested(62)), ElementsAre(R"(["mydb","a"])"));
    EXPECT_TRUE(std::holds_alternative<Unavailable>(peek(result(R"([["mydb","a"]])", nested(63)))));
    std::string many = R"(,"notifications":[1)";
    for (int i = 0; i < 500'000; ++i)
        many += ",1";
    EXPECT_TRUE(std::holds_alternative<Unavailable>(peek(result(R"([["mydb","a"]])", many + "]"))));
}

TEST(OdooAnswer, CallsWithoutAResult) {
    EXPECT_TRUE(std::holds_alternative<Done>(read_call(answer(R"({"jsonrpc":"2.0","id":1})"))));
    EXPECT_TRUE(std::holds_alternative<Expired>(read_call(answer(R"({"error":{"code":100}})"))));
}

TEST(OdooAnswer, SessionCookies) {
    const std::string id(84, 'a');
    EXPECT_EQ(session_of_cookie("session_id=" + id + "; Path=/; HttpOnly"), id);
    for (const std::string& cookie :
         {std::string("session_id=short"), std::string("x=1"), "session_id=" + std::string(84, '\n'),
          std::string("session_id=; Path=/"), "session_id=" + std::string(500, 'a')})
        EXPECT_EQ(session_of_cookie(cookie), std::nullopt) << cookie;
}

} // namespace
} // namespace odoo_bus
