// Parsers of HTTP: the heads, cookies, queries and addresses of clients, and what servers answer.
#include <spdlog/fmt/fmt.h>

#include "auth/odoo/odoo_request.h"
#include "cost_case.h"
#include "http/cookie_jar.h"
#include "http/handshake.h"
#include "http/http_answer.h"
#include "http/query.h"
#include "http/request_body.h"
#include "http/request_head.h"
#include "http/requester.h"
#include "protocol/websocket_frame.h"
#include "server/odoo_proxy.h"

namespace odoo_bus {

namespace {

constexpr size_t HEAD = 16 << 10; // --max-head-bytes

const std::string BEGIN = "GET /websocket HTTP/1.1\r\nHost: bus.example.com\r\n";
const std::string HANDSHAKE = BEGIN + "Origin: https://bus.example.com\r\nConnection: Upgrade\r\n"
                                      "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                                      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

// A browser's, whose user has as many cookies as fit.
const MakeText PLAIN =
    numbered(HANDSHAKE + "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101\r\n"
                         "Accept-Language: en-US,en;q=0.5\r\nX-Forwarded-For: 203.0.113.7\r\n"
                         "X-Forwarded-Proto: https\r\nCookie: session_id=0123456789",
             "; _ga_#=GS1.1.1700000000.1.1.1700000000", "\r\n\r\n");

void read_head(const std::string& text) {
    RequestHead head(HEAD + 1);
    head.feed(text);
}

void read_head_in_pieces(const std::string& text) {
    RequestHead head(HEAD + 1);
    for (size_t at = 0; at < text.size() && head.state() == RequestHead::State::need_more; at += 16)
        head.feed(std::string_view(text).substr(at, 16));
}

// All that is done with the head of a WebSocket.
void handshake(const std::string& text) {
    RequestHead head(HEAD + 1);
    if (head.feed(text) != RequestHead::State::complete)
        return;
    Trust trust;
    trust.proxies = {*Network::parse("127.0.0.0/8")};
    const auto peer = Address::parse("127.0.0.1");
    client_address(head, peer, trust);
    requested_site(head, peer, trust);
    judge_handshake(head);
    const Requester who = make_requester(head, peer, trust);
    post_request("/websocket/peek_notifications", who, identify(who).cookie_header(), "{}");
}

void relay(const std::string& text) {
    RequestHead head(HEAD + 1);
    if (head.feed(text) != RequestHead::State::complete)
        return;
    Trust trust;
    trust.proxies = {*Network::parse("127.0.0.0/8")};
    OdooProxy::request(head, "", make_requester(head, Address::parse("127.0.0.1"), trust));
}

void read_body(const std::string& text) {
    RequestBody::in_chunks(1 << 20).feed(text);
}

void read_body_in_pieces(const std::string& text) {
    RequestBody body = RequestBody::in_chunks(1 << 20);
    for (size_t at = 0; at < text.size(); at += 16)
        body.feed(std::string_view(text).substr(at, 16));
}

void read_frames(const std::string& text) {
    FrameReader reader(64 << 10);
    std::string_view bytes = text;
    while (reader.next(bytes)) {
    }
}

// Between a beginning and the end of a head.
const std::vector<std::pair<std::string, MakeText>>& heads() {
    const auto header = [](const char* name, const char* part) {
        return repeated(HANDSHAKE + name + ": a", part, "\r\n\r\n");
    };
    static const std::vector<std::pair<std::string, MakeText>> all = {
        {"headers", numbered(HANDSHAKE, "#:\r\n", "\r\n")},
        {"equal_headers", repeated(HANDSHAKE, "a:\r\n", "\r\n")},
        {"long_header", repeated(HANDSHAKE + "a: ", "a", "\r\n\r\n")},
        {"spaces", repeated(HANDSHAKE + "a: ", " ", "\r\n\r\n")},
        {"cookies", numbered(HANDSHAKE + "Cookie: a=1", "; #=", "\r\n\r\n")},
        {"cookies_of_one_name", header("Cookie", ";a=")},
        {"cookies_without_value", header("Cookie", ";a")},
        {"semicolons", header("Cookie", ";")},
        {"equals", header("Cookie", "=")},
        {"cookie_headers", numbered(HANDSHAKE, "Cookie: #=\r\n", "\r\n")},
        {"sessions", numbered(HANDSHAKE, "Cookie: session_id=#\r\n", "\r\n")},
        {"connection_tokens", header("Connection", ",b")},
        {"connection_commas", header("Connection", ",")},
        {"connection_headers", numbered(HANDSHAKE, "Connection: #\r\n", "\r\n")},
        {"connection_names_headers",
         [](size_t bytes) {
             return numbered(HANDSHAKE + "Connection: a", ",#", "\r\n")(bytes / 2) +
                    numbered("", "#:\r\n", "\r\n")(bytes / 2);
         }},
        {"protocols", header("Sec-WebSocket-Protocol", ",b")},
        {"protocol_headers", numbered(HANDSHAKE, "Sec-WebSocket-Protocol: #\r\n", "\r\n")},
        {"forwarded_for", header("X-Forwarded-For", ",1.1.1.1")},
        {"forwarded_for_six", header("X-Forwarded-For", ",::1")},
        {"forwarded_commas", header("X-Forwarded-For", ",")},
        {"forwarded_brackets", header("X-Forwarded-For", "[")},
        {"forwarded_colons", header("X-Forwarded-For", ":")},
        {"forwarded_headers", numbered(HANDSHAKE, "X-Forwarded-For: 1.1.1.1\r\n", "\r\n")},
        {"forwarded_hosts", header("X-Forwarded-Host", ",a.b")},
        {"forwarded_protos", header("X-Forwarded-Proto", ",b")},
        {"upgrades", header("Upgrade", ",b")},
        {"origin_dots", header("Origin", ".")},
        {"path", repeated("GET /", "%41", " HTTP/1.1\r\nHost: h\r\n\r\n")},
        {"path_dots", repeated("GET /", "../", " HTTP/1.1\r\nHost: h\r\n\r\n")},
        {"query", repeated("GET /websocket?", "a&", " HTTP/1.1\r\nHost: h\r\n\r\n")},
        {"underscores", numbered(HANDSHAKE, "x_#: \r\n", "\r\n")},
    };
    return all;
}

std::string answer_with(const std::string& headers, const std::string& body) {
    return "HTTP/1.1 200 OK\r\n" + headers + "\r\n" + body;
}

void read_answer(const std::string& text) {
    HttpAnswer answer({.head_bytes = 32 << 10, .body_bytes = 4 << 20});
    answer.feed(text);
    if (answer.end() == HttpAnswer::State::complete)
        OdooProxy::response(answer);
}

void read_answer_in_pieces(const std::string& text) {
    HttpAnswer answer({.head_bytes = 32 << 10, .body_bytes = 4 << 20});
    for (size_t at = 0; at < text.size() && answer.state() == HttpAnswer::State::need_more; at += 1400)
        answer.feed(std::string_view(text).substr(at, 1400));
    answer.end();
}

void fill_jar(const std::string& text) {
    CookieJar jar(text);
    jar.set("session_id=1; Path=/");
    jar.header();
}

} // namespace

std::vector<CostCase> http_cases() {
    std::vector<CostCase> cases;
    for (const auto& [what, make] : heads()) {
        cases.push_back({"request_head", what, HEAD, make, read_head, PLAIN});
        cases.push_back({"request_head", what + "_in_pieces", HEAD, make, read_head_in_pieces, PLAIN});
        cases.push_back({"request_head", what + "_of_a_handshake", HEAD, make, handshake, PLAIN});
        cases.push_back({"relayed_head", what, HEAD, make, relay, PLAIN});
    }
    for (const auto& [what, part] :
         {std::pair("pairs", "#=1&"), std::pair("names", "#&"), std::pair("empty", "&"),
          std::pair("equals", "="), std::pair("percent", "%41"), std::pair("plus", "+")})
        cases.push_back({"query", what, HEAD, numbered("", part, ""), [](const std::string& text) {
                             if (const auto query = parse_query(text, 2'000))
                                 query_value(*query, "last");
                         }});
    for (const auto& [what, part] :
         {std::pair("names", "#=;"), std::pair("one_name", "a=;"), std::pair("semicolons", ";"),
          std::pair("spaces", " "), std::pair("equals", "=")})
        cases.push_back({"cookies", what, HEAD, numbered("", part, ""), fill_jar,
                         numbered("session_id=1", "; _ga_#=GS1.1.1700000000.1.1.1700000000", "")});
    const std::string chunked = "Transfer-Encoding: chunked\r\n";
    const MakeText plain =
        repeated(answer_with(chunked, ""), fmt::format("{:x}\r\n{:128}\r\n", 128, "{\"a\":1}"), "0\r\n\r\n");
    for (const auto& [what, make] :
         {std::pair("chunks", repeated(answer_with(chunked, ""), "1\r\na\r\n", "0\r\n\r\n")),
          std::pair("chunk_extensions", repeated(answer_with(chunked, "1;"), "a=b;", "\r\na\r\n0\r\n\r\n")),
          std::pair("zeros", repeated(answer_with(chunked, ""), "0", "1\r\na\r\n0\r\n\r\n")),
          std::pair("trailers", repeated(answer_with(chunked, "0\r\n"), "a:\r\n", "\r\n"))}) {
        cases.push_back({"http_answer", what, 256 << 10, make, read_answer, plain});
        cases.push_back(
            {"http_answer", what + std::string("_in_pieces"), 256 << 10, make, read_answer_in_pieces, plain});
    }
    for (const auto& [what, part] :
         {std::pair("headers", "#:\r\n"), std::pair("set_cookies", "Set-Cookie: #=\r\n"),
          std::pair("folded", " a\r\n")})
        cases.push_back({"http_answer", what, 32 << 10, numbered("HTTP/1.1 200 OK\r\n", part, "\r\n"),
                         read_answer,
                         numbered("HTTP/1.1 200 OK\r\n", "X-Header-#: what a server says\r\n", "\r\n")});
    for (const auto& [what, make] : {std::pair("chunks", repeated("", "1\r\na\r\n", "0\r\n\r\n")),
                                     std::pair("extensions", repeated("1;", "a=b;", "\r\na\r\n0\r\n\r\n")),
                                     std::pair("zeros", repeated("", "0", "1\r\na\r\n0\r\n\r\n")),
                                     std::pair("trailers", repeated("0\r\n", "a:\r\n", "\r\n"))}) {
        cases.push_back({"request_body", what, 256 << 10, make, read_body});
        cases.push_back(
            {"request_body", what + std::string("_in_pieces"), 256 << 10, make, read_body_in_pieces});
    }
    // Not masked: what a server sends.
    for (const auto& [what, frame] : {std::pair("empty_messages", std::string("\x81\x00", 2)),
                                      std::pair("messages", std::string("\x81\x01x")),
                                      std::pair("fragments", std::string("\x01\x00\x00\x01x\x80\x00", 7)),
                                      std::pair("pings", std::string("\x89\x00", 2))})
        cases.push_back({"websocket_frame", what, 256 << 10, repeated("", frame, ""), read_frames});
    return cases;
}

} // namespace odoo_bus
