// Parsers of JSON: what clients, Odoo, rows and NOTIFY bring.
#include <array>

#include <libpq-fe.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <spdlog/fmt/fmt.h>

#include "auth/odoo/odoo_answer.h"
#include "auth/token/jwt.h"
#include "clients/http_subscribe.h"
#include "common/ascii_json.h"
#include "cost_case.h"
#include "database/row_reader.h"
#include "protocol/client_event.h"
#include "protocol/frame.h"
#include "protocol/notify_payload.h"
#include "protocol/received_frame.h"

namespace odoo_bus {

namespace {

const metrics::Family left_out("rows_left_out", "Of this test.", metrics::Type::counter);

// Of a Batch of jobs, as Odoo sends it.
const std::string RECORD = R"({"id":17,"name":"Stock Move 17","state":"done","qty":1.5,"tags":[3,5]})";
const MakeText PLAIN_MESSAGE =
    repeated("{\"type\":\"mail.record/insert\",\"payload\":[" + RECORD, "," + RECORD, "]}");
const MakeText PLAIN_FRAME =
    repeated("["
             R"({"id":1,"message":{"type":"a","payload":{"name":"Ann","count":3}}})",
             R"(,{"id":2,"message":{"type":"a","payload":{"name":"Ann","count":3}}})", "]");

// In each of these places the hostile values of JSON are put.
struct Place {
    std::string parser, begin, end;
    size_t bytes;
    ParseText parse;
    MakeText plain = {};
};

void read_answer(const std::string& body) {
    HttpAnswer answer({.head_bytes = 1024, .body_bytes = 4 << 20});
    answer.feed(fmt::format("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
                            body.size()));
    answer.feed(body);
    read_peek(answer);
}

void subscribe_by_post(const std::string& body) {
    HttpRequest request;
    request.is_post = true;
    request.kind = HttpRequest::Kind::poll;
    request.body = body;
    http_subscribe(request, {});
}

void subscribe_by_query(const std::string& query) {
    HttpRequest request;
    request.kind = HttpRequest::Kind::events;
    request.query = query;
    http_subscribe(request, {});
}

void make_one_element(const std::string& message) {
    std::string error;
    make_element(7, message, error);
}

PgResult row_with(std::string channel, std::string message) {
    PGresult* const result = PQmakeEmptyPGresult(nullptr, PGRES_TUPLES_OK);
    std::array<PGresAttDesc, ROW_COLUMNS> attributes{};
    std::string name = "column";
    for (auto& attribute : attributes)
        attribute.name = name.data();
    PQsetResultAttrs(result, ROW_COLUMNS, attributes.data());
    std::array<std::string, ROW_COLUMNS> values;
    values[ID] = "7";
    values[CHANNEL] = std::move(channel);
    values[BYTES] = std::to_string(message.size());
    values[MESSAGE] = std::move(message);
    for (size_t i = 0; i < values.size(); ++i)
        PQsetvalue(result, 0, static_cast<int>(i), values[i].data(), static_cast<int>(values[i].size()));
    return PgResult(result);
}

void read_row(const std::string& message) {
    RowReader reader(left_out.with());
    reader.configure(ServerEncoding("UTF8"), 16 << 20);
    reader.read(row_with(R"(["db","a"])", message), 0);
}

void read_latin1_row(const std::string& message) {
    RowReader reader(left_out.with());
    reader.configure(ServerEncoding("LATIN1"), 16 << 20);
    reader.read(row_with("5b226462222c2261225d", message), 0);
}

const std::string TOKEN_END = ".eyJleHAiOjIwMDAwMDAwMDB9.AAAA";

std::string base64url(std::string_view bytes) {
    constexpr std::string_view DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    std::string text;
    for (size_t i = 0; i < bytes.size(); i += 3) {
        uint32_t bits = 0;
        for (size_t j = 0; j < 3; ++j)
            bits = bits << 8 | (i + j < bytes.size() ? static_cast<unsigned char>(bytes[i + j]) : 0);
        for (size_t j = 0; j < 1 + std::min<size_t>(3, bytes.size() - i); ++j)
            text += DIGITS[bits >> (18 - 6 * j) & 63];
    }
    return text;
}

const std::string SECRET(32, 'k');

void verify(const std::string& token) {
    static const JwtKeys known = parse_jwt_keys(SECRET);
    verify_jwt(token, known.keys, {}, 1'000'000'000);
}

MakeText token_of(MakeText header, MakeText payload) {
    return [=](size_t bytes) {
        return base64url(header(bytes * 3 / 8)) + "." + base64url(payload(bytes * 3 / 8)) + ".AAAA";
    };
}

// A valid one, with as many channels as fit.
std::string plain_token(size_t bytes) {
    const std::string text = base64url(R"({"alg":"HS256","typ":"JWT"})") + "." +
                             base64url(numbered(R"({"exp":2000000000,"sub":"ann","channels":["a")",
                                                R"(,"res.partner_#")", "]}")(bytes * 3 / 4 - 60));
    unsigned char mac[32];
    unsigned length = sizeof mac;
    HMAC(EVP_sha256(), SECRET.data(), static_cast<int>(SECRET.size()),
         reinterpret_cast<const unsigned char*>(text.data()), text.size(), mac, &length);
    return text + "." + base64url({reinterpret_cast<const char*>(mac), length});
}

std::vector<Place> places() {
    return {
        {"client_event", R"({"event_name":"subscribe","data":{"channels":)", R"(,"last":0}})", 32 << 10,
         [](const std::string& text) { parse_client_event(text, {}); }},
        {"client_event",
         R"({"event_name":"update_presence","data":{"inactivity_period":1,"im_status_ids_by_model":)", "}}",
         32 << 10, [](const std::string& text) { parse_client_event(text, {}); }},
        {"client_event", "", "", 256 << 10, [](const std::string& text) { parse_client_event(text, {}); }},
        {"http_subscribe", R"({"id":1,"params":{"last":0,"channels":)", "}}", 32 << 10, subscribe_by_post},
        {"notify_payload", "", "", 8'000, [](const std::string& text) { parse_notify_payload(text); },
         repeated(R"([["mydb","res.partner",1])", R"(,["mydb","res.partner",12])", "]")},
        {"notify_payload", R"([["mydb",)", "]]", 8'000,
         [](const std::string& text) { parse_notify_payload(text); },
         repeated(R"([["mydb","res.partner",1])", R"(,["mydb","res.partner",12])", "]")},
        {"frame", R"({"type":"a","payload":)", "}", 256 << 10, make_one_element, PLAIN_MESSAGE},
        {"row", R"({"type":"a","payload":)", "}", 256 << 10, read_row, PLAIN_MESSAGE},
        {"received_frame", R"([{"id":1,"message":{"type":"a","payload":)", "}}]", 256 << 10,
         [](const std::string& text) { read_frame(text); }, PLAIN_FRAME},
        {"odoo_answer", R"({"jsonrpc":"2.0","id":1,"result":{"notifications":[],"channels":)", "}}",
         256 << 10, read_answer,
         numbered(R"({"jsonrpc":"2.0","id":1,"result":{"notifications":[],"channels":[["mydb","a"])",
                  R"(,["mydb","res.partner",#])", "]}}")},
    };
}

} // namespace

std::vector<CostCase> json_cases() {
    std::vector<CostCase> cases;
    for (const Place& place : places())
        for (const HostileJson& json : hostile_json()) {
            cases.push_back({.parser = place.parser,
                             .what = json.what,
                             .bytes = place.bytes,
                             .hostile = inside(place.begin, json.value, place.end),
                             .parse = place.parse,
                             .plain = place.plain});
        }
    for (const HostileJson& json : hostile_json())
        for (const bool in_header : {true, false}) {
            const auto around = [](const char* text) { return [text](size_t) { return std::string(text); }; };
            const MakeText hostile =
                inside(in_header ? R"({"alg":"HS256","kid":)" : R"({"exp":)", json.value, "}");
            for (const size_t bytes : {size_t{2} << 10, size_t{8} << 10})
                cases.push_back({"jwt", json.what + (in_header ? "_in_the_header" : "_in_the_payload"), bytes,
                                 in_header ? token_of(hostile, around(R"({"exp":1})"))
                                           : token_of(around(R"({"alg":"HS256"})"), hostile),
                                 verify, plain_token});
        }
    // Texts that are not JSON as a whole.
    const std::vector<std::pair<std::string, std::string>> characters = {{"control", "\x01"},
                                                                         {"quotes", "\""},
                                                                         {"delete", "\x7f"},
                                                                         {"two_bytes", "ä"},
                                                                         {"four_bytes", "\xf0\x9f\x98\x80"}};
    for (const auto& [what, part] : characters)
        cases.push_back({"channel", what, 8 << 10, repeated("", part, ""), [](const std::string& name) {
                             std::string channel;
                             (void)write_channel(channel, "mydb", name);
                         }});
    for (const auto& [what, part] : {std::pair("dots", "."), std::pair("base64", "e30.")})
        cases.push_back({"jwt", what, 8 << 10, repeated("", part, ""), verify, plain_token});
    for (const auto& [what, part] : {std::pair("pairs", "channels=a&"), std::pair("short_pairs", "a&"),
                                     std::pair("empty_pairs", "&"), std::pair("percent", "%41")})
        cases.push_back({"http_subscribe", what, 16 << 10, repeated("", part, ""), subscribe_by_query});
    cases.push_back({"row", "latin1", 256 << 10, repeated("7b", "e4", "7d"), read_latin1_row});
    cases.push_back(
        {"received_frame", "dates", 256 << 10,
         repeated("[", R"({"id":1,"message":{"type":"a","payload":{"sent_at":"2026-11-29T01:02:03Z"}}},)",
                  "0]"),
         [](const std::string& text) { read_frame(text); }, PLAIN_FRAME});
    return cases;
}

} // namespace odoo_bus
