// The WebSocket handshake: what is refused and how, and what libwebsockets gets to see.
#include "http/handshake.h"

#include <map>
#include <string>

#include <gtest/gtest.h>

namespace odoo_bus {
namespace {

// A good handshake whose headers can be replaced, or removed by an empty value.
std::string handshake(const std::map<std::string, std::string>& changes = {},
                      const std::string& method = "GET", const std::string& more = {}) {
    std::map<std::string, std::string> headers = {{"Host", "example.com"},
                                                  {"Upgrade", "websocket"},
                                                  {"Connection", "keep-alive, Upgrade"},
                                                  {"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="},
                                                  {"Sec-WebSocket-Version", "13"},
                                                  {"Origin", "https://example.com"}};
    for (const auto& [name, value] : changes)
        headers[name] = value;
    std::string text = method + " /websocket?version=19.0-2 HTTP/1.1\r\n";
    for (const auto& [name, value] : headers)
        if (!value.empty())
            text += name + ": " + value + "\r\n";
    return text + more + "\r\n";
}

Response judged(const std::string& text) {
    RequestHead head(16384);
    EXPECT_EQ(head.feed(text), RequestHead::State::complete) << text;
    Response accepted;
    accepted.status = 101;
    return judge_handshake(head).value_or(accepted);
}

std::string header_of(const Response& response, const std::string& name) {
    for (const auto& [key, value] : response.headers)
        if (key == name)
            return value;
    return {};
}

TEST(Handshake, GoodOnesPass) {
    EXPECT_EQ(judged(handshake()).status, 101);
    EXPECT_EQ(judged(handshake({{"Upgrade", "h2c, WebSocket"}, {"Connection", "UPGRADE"}})).status, 101);
    EXPECT_EQ(judged(handshake({{"Origin", "null"}})).status, 101);
    EXPECT_EQ(judged(handshake({}, "GET", "Content-Length: 0\r\n")).status, 101);
    EXPECT_EQ(judged(handshake({{"Cookie", "session_id=x"}, {"Sec-WebSocket-Extensions", "foo"}})).status,
              101);
}

TEST(Handshake, OnlyGet) {
    for (const char* method : {"POST", "HEAD", "PUT", "get"}) {
        const Response response = judged(handshake({}, method));
        EXPECT_EQ(response.status, 405);
        EXPECT_EQ(header_of(response, "Allow"), "GET");
    }
    EXPECT_EQ(judged("POST /websocket HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n").status, 405);
}

TEST(Handshake, WithoutUpgradeHeaders) {
    const std::map<std::string, std::string> wrong[] = {
        {{"Upgrade", ""}}, {{"Upgrade", "h2c"}}, {{"Connection", ""}}, {{"Connection", "close"}}};
    for (const auto& changes : wrong) {
        const Response response = judged(handshake(changes));
        EXPECT_EQ(response.status, 426);
        EXPECT_EQ(header_of(response, "Upgrade"), "websocket");
        EXPECT_EQ(header_of(response, "Connection"), "close, Upgrade");
    }
}

TEST(Handshake, OnlyVersion13) {
    for (const char* version : {"", "8", "12", "14", "013", "13, 8", "x"}) {
        const Response response = judged(handshake({{"Sec-WebSocket-Version", version}}));
        EXPECT_EQ(response.status, 426) << version;
        EXPECT_EQ(header_of(response, "Sec-WebSocket-Version"), "13");
    }
    EXPECT_EQ(judged(handshake({}, "GET", "Sec-WebSocket-Version: 8\r\n")).status, 426);
}

TEST(Handshake, TheKeyIsBase64OfSixteenBytes) {
    for (const char* key :
         {"", "x", "dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZSBub25jZQ=", "dGhlIHNhbXBsZSBub25jZQAA",
          "dGhlIHNhbXBsZSBub25jZ===", "dGhlIHNhbXBsZSBub25j!Q==", "dGhlIHNhbXBsZSBub25jZSE=",
          "dGhlIHNhbXBsZSBub25jZSEhIQ=="})
        EXPECT_EQ(judged(handshake({{"Sec-WebSocket-Key", key}})).status, 400) << key;
    EXPECT_EQ(judged(handshake({}, "GET", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n")).status, 400);
}

TEST(Handshake, AnOriginIsRequired) {
    EXPECT_EQ(judged(handshake({{"Origin", ""}})).status, 400);
    EXPECT_EQ(judged(handshake({}, "GET", "Origin: https://other\r\n")).status, 400);
}

TEST(Handshake, AProgramWithATokenNeedsNoOrigin) {
    const std::string bearer = "Authorization: Bearer a.b.c\r\n";
    const std::string protocol = "Sec-WebSocket-Protocol: odoo-bus, odoo-bus.token.a.b.c\r\n";
    const std::map<std::string, std::string> none = {{"Origin", ""}};
    EXPECT_EQ(judged(handshake(none, "GET", bearer)).status, 101);
    EXPECT_EQ(judged(handshake(none, "GET", protocol)).status, 101);
    // A browser's cookies may belong to another page's user.
    EXPECT_EQ(judged(handshake(none, "GET", bearer + "Cookie: a=b\r\n")).status, 400);
    EXPECT_EQ(judged(handshake(none, "GET", bearer + "Cookie: \r\n")).status, 400);
    EXPECT_EQ(judged(handshake(none, "GET", bearer + "Origin: \r\n")).status, 400);
    EXPECT_EQ(judged(handshake({}, "GET", bearer + "Origin: https://other\r\n")).status, 400);
    for (const char* const without : {"Authorization: Bearer \r\n", "Authorization: Basic YTpi\r\n",
                                      "Sec-WebSocket-Protocol: odoo-bus, odoo-bus.token.\r\n"})
        EXPECT_EQ(judged(handshake(none, "GET", without)).status, 400) << without;
}

TEST(Handshake, NoBody) {
    EXPECT_EQ(judged(handshake({}, "GET", "Content-Length: 1\r\n")).status, 400);
    EXPECT_EQ(judged(handshake({}, "GET", "Transfer-Encoding: chunked\r\n")).status, 400);
}

TEST(Handshake, LibwebsocketsSeesOnlyWhatWasJudged) {
    RequestHead head(16384);
    head.feed(handshake({{"Cookie", std::string(12'000, 'c')}, {"Sec-WebSocket-Extensions", "x"}}));
    EXPECT_EQ(canonical_head(head, "/websocket"),
              "GET /websocket HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
              "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n");
    const std::string with_protocol = canonical_head(head, "/websocket", "odoo");
    EXPECT_NE(with_protocol.find("\r\nSec-WebSocket-Protocol: odoo\r\n\r\n"), std::string::npos);
}

TEST(Handshake, KeysOfAClient) {
    // RFC 6455, 1.3.
    EXPECT_EQ(websocket_accept("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    EXPECT_EQ(make_websocket_key().size(), 24u);
    EXPECT_NE(make_websocket_key(), make_websocket_key());
}

} // namespace
} // namespace odoo_bus
