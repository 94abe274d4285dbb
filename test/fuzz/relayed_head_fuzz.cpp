// Whatever request is passed on to Odoo, or makes the gateway ask Odoo: what is sent is exactly one request,
// in which nothing can be taken for a header that the gateway sets itself or keeps from Odoo. The first byte
// of the input tells whether the peer is a trusted proxy, and how much of the rest is the body.
#include "server/odoo_proxy.h"

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "auth/odoo/odoo_request.h"
#include "cost.h"
#include "http/query.h"

using namespace odoo_bus;

namespace {

constexpr std::string_view KEPT_FROM_ODOO[] = {"transfer-encoding",
                                               "keep-alive",
                                               "proxy-connection",
                                               "proxy-authenticate",
                                               "te",
                                               "trailer",
                                               "upgrade",
                                               "proxy-authorization",
                                               "expect",
                                               "http2-settings",
                                               "forwarded",
                                               "x-odoo-database",
                                               "authorization",
                                               "accept-encoding"};
constexpr std::string_view OF_GATEWAY[] = {
    "host",         "cookie",         "user-agent",      "accept-language",  "connection",       "x-real-ip",
    "content-type", "content-length", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"};

// As a WSGI server names a header: case and the difference of "-" and "_" are lost.
std::string as_wsgi(std::string_view name) {
    std::string text(name);
    std::ranges::transform(text, text.begin(), [](char c) {
        return c == '_' ? '-' : c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    });
    return text;
}

bool is_plain(std::string_view name) {
    return std::ranges::all_of(name, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
    });
}

// The headers by the name that Odoo reads; the request is parsed to its end.
std::multimap<std::string, std::string> sent_headers(const RequestHead& sent, std::string_view body) {
    assert(sent.state() == RequestHead::State::complete);
    assert(sent.rest() == body && sent.content_length().value_or(0) == body.size());
    std::multimap<std::string, std::string> headers;
    for (size_t i = 0; i < sent.header_count(); ++i) {
        const auto [name, value] = sent.header(i);
        assert(is_plain(name));
        headers.emplace(as_wsgi(name), value);
    }
    for (const std::string_view name : KEPT_FROM_ODOO)
        assert(!headers.contains(std::string(name)));
    return headers;
}

void assert_is(const std::multimap<std::string, std::string>& headers, const std::string& name,
               std::string_view value) {
    assert(headers.count(name) == !value.empty());
    assert(value.empty() || headers.find(name)->second == value);
}

// What a trusted proxy said of the client, and nothing else, is said to Odoo.
void check_who(const std::multimap<std::string, std::string>& headers, const Requester& who) {
    const auto trimmed = [](std::string_view text) {
        const size_t begin = text.find_first_not_of(' ');
        return begin == text.npos ? "" : text.substr(begin, text.find_last_not_of(' ') - begin + 1);
    };
    assert_is(headers, "host", who.sent_host);
    assert_is(headers, "x-forwarded-host", trimmed(who.forwarded_host));
    assert_is(headers, "x-forwarded-proto", trimmed(who.forwarded_proto));
    assert_is(headers, "x-forwarded-for", trimmed(who.forwarded_for));
    assert_is(headers, "x-real-ip", trimmed(who.real_ip));
    assert_is(headers, "connection", "close");
}

void check_passed_on(const RequestHead& head, std::string_view body, const Requester& who) {
    const std::string request = OdooProxy::request(head, body, who);
    RequestHead sent(1 << 20);
    sent.feed(request);
    const auto headers = sent_headers(sent, body);
    check_who(headers, who);
    assert_is(headers, "content-length", std::to_string(body.size()));
    assert(sent.path() == head.path() && sent.query() == head.query());
    assert(sent.method() == (head.method() == "HEAD" ? "GET" : head.method()));
}

void check_asked(const std::string& request, std::string_view body, const Requester& who) {
    RequestHead sent(1 << 20);
    sent.feed(request);
    const auto headers = sent_headers(sent, body);
    check_who(headers, who);
    for (const auto& [name, value] : headers) {
        assert(std::ranges::count(OF_GATEWAY, name) == 1 && headers.count(name) == 1);
    }
}

// Nothing that is passed on is read as another path, decoded or not.
void check_path(std::string_view path) {
    assert(OdooProxy::takes(path) == (path.starts_with("/websocket/") || path.starts_with("/bus/")));
    std::string plain(path);
    std::ranges::replace(plain, '+', '-');
    if (const auto decoded = percent_decode(plain)) {
        for (const std::string_view part : {"//", "/./", "/../", "\\"})
            assert(decoded->find(part) == decoded->npos);
        assert(!decoded->ends_with("/.") && !decoded->ends_with("/..") &&
               decoded->find('\0') == decoded->npos);
    }
}

void check_cost(std::string_view name) {
    assert_linear(
        2'000,
        [&](size_t parts) {
            std::string head = "POST /bus/a HTTP/1.1\r\nHost: h\r\n";
            for (size_t i = 0; i < parts; ++i)
                head += std::string(name) + std::to_string(i) + ": a\r\nCookie: " + std::to_string(i) +
                        "=\r\nConnection: " + std::to_string(i) + "\r\n";
            return head + "\r\n";
        },
        [](const std::string& text) {
            RequestHead head(text.size());
            if (head.feed(text) == RequestHead::State::complete)
                OdooProxy::request(head, "", make_requester(head, std::nullopt, Trust{}));
        });
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    static const OdooProxy proxy(uv_default_loop(), OdooUrl{"127.0.0.1", 8069});
    if (size == 0)
        return 0;
    const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
    RequestHead head(8192);
    if (head.feed(text) != RequestHead::State::complete || head.is_http_1_0())
        return 0; // nothing of HTTP/1.0 is passed on
    Trust trust;
    trust.proxies = {*Network::parse("127.0.0.1")};
    const auto peer = Address::parse(data[0] & 1 ? "127.0.0.1" : "192.0.2.1");
    const Requester who = make_requester(head, peer, trust);
    if (!(data[0] & 1))
        assert(who.forwarded_host.empty() && who.forwarded_for.empty() && who.forwarded_proto.empty() &&
               who.real_ip.empty() && who.address == peer);

    const std::string_view body = head.rest().substr(0, data[0] >> 1);
    if (!proxy.refuse(head)) {
        check_path(head.path());
        check_passed_on(head, body, who);
    }
    const std::string calls = peek_body({"a", std::string(body)}, 1, true);
    check_asked(post_request("/websocket/peek_notifications", who, identify(who).cookie_header(), calls),
                calls, who);
    check_asked(get_request("/", who), "", who);
    if (head.header_count() && head.header(0).first.size() < 64 && is_measured(text))
        check_cost(head.header(0).first);
    return 0;
}
