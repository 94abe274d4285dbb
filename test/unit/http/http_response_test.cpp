// Small HTTP answers.
#include "http/http_response.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace odoo_bus {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::MatchesRegex;
using testing::Not;
using testing::StartsWith;

TEST(HttpResponse, HasWhatHttpAsksFor) {
    Response response;
    response.headers = {{"Content-Type", "application/json"}, {"Cache-Control", "no-store"}};
    response.body = R"({"status":"pass"})";
    EXPECT_THAT(response.to_string(),
                MatchesRegex("HTTP/1\\.1 200 OK\r\n"
                             "Date: [MTWFS][a-z]+, [0-9][0-9] [JFMASOND][a-z]+ 20[0-9]+ [0-9:]+ GMT\r\n"
                             "Content-Type: application/json\r\nCache-Control: no-store\r\n"
                             "Connection: close\r\nContent-Length: 17\r\n\r\n\\{\"status\":\"pass\"\\}"));
    EXPECT_THAT(response.to_string(true), EndsWith("Content-Length: 17\r\n\r\n"));
}

TEST(HttpResponse, RefusalsSayWhyAndAreNotKept) {
    const std::string text = Response::refusal(431, "Too large.").to_string();
    EXPECT_THAT(text, StartsWith("HTTP/1.1 431 Request Header Fields Too Large\r\n"));
    EXPECT_THAT(text, HasSubstr("\r\nCache-Control: no-store\r\n"));
    EXPECT_THAT(text, EndsWith("\r\n\r\nToo large.\n"));
}

TEST(HttpResponse, ConnectionIsWrittenOnce) {
    Response response = Response::refusal(426, "No.");
    response.headers.emplace_back("Connection", "close, Upgrade");
    EXPECT_THAT(response.to_string(), HasSubstr("\r\nConnection: close, Upgrade\r\n"));
    EXPECT_THAT(response.to_string(), Not(HasSubstr("Connection: close\r\n")));
}

TEST(HttpResponse, AValueCannotBeginAnotherHeader) {
    Response response;
    response.headers.emplace_back("Set-Cookie", "a=1\r\nEvil: 1");
    EXPECT_THAT(response.to_string(), HasSubstr("\r\nSet-Cookie: a=1  Evil: 1\r\n"));
}

} // namespace
} // namespace odoo_bus
