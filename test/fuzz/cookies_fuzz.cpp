// Whatever cookies a client or a server sends: those that Odoo is sent have one value each, the first one,
// and are read again as they were written. The lines of the input are two Cookie headers, and Set-Cookie
// headers behind them.
#include "http/cookie_jar.h"

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "auth/odoo/odoo_request.h"
#include "base/text.h"
#include "cost.h"
#include "http/gateway_cookie.h"
#include "http/request_head.h"
#include "http/requester.h"

using namespace odoo_bus;

namespace {

using Cookies = std::vector<std::pair<std::string, std::string>>;

std::vector<std::string_view> lines_of(std::string_view text) {
    std::vector<std::string_view> lines;
    while (!text.empty()) {
        const size_t end = text.find('\n');
        lines.push_back(text.substr(0, end));
        text.remove_prefix(end == text.npos ? text.size() : end + 1);
    }
    lines.resize(std::max<size_t>(lines.size(), 2));
    return lines;
}

std::string head_with(std::string_view first, std::string_view second = {}) {
    return "GET /websocket HTTP/1.1\r\nHost: h\r\nOrigin: https://h\r\nCookie: " + std::string(first) +
           "\r\nCookie: " + std::string(second) + "\r\n\r\n";
}

Requester requester_of(const RequestHead& head) {
    return make_requester(head, Address::parse("192.0.2.1"), Trust{});
}

void check_cookie(const std::string& name, const std::string& value) {
    assert(!name.empty() && name != GATEWAY_COOKIE);
    assert(name.find_first_of("=;\t") == name.npos && value.find_first_of(";\t") == value.npos);
    assert(trim(name) == name && trim(value) == value);
}

void check_client(std::string_view first, std::string_view second) {
    RequestHead head(1 << 16);
    if (head.feed(head_with(first, second)) != RequestHead::State::complete)
        return;
    const Requester who = requester_of(head);
    assert(who.own_origin);
    std::set<std::string_view> names;
    const bool has_tab = head.cookies().find('\t') != std::string::npos; // such pairs are left out
    for (const auto& [name, value] : who.cookies) {
        check_cookie(name, value);
        assert(names.insert(name).second);
        assert(who.cookie(name) == value && (has_tab || head.cookie(name) == value));
    }

    const Identity identity = identify(who);
    assert(identity.cookie("session_id").empty() == identity.is_public);
    assert(identity.is_public || is_session_id(identity.cookie("session_id")));
    assert(identity.cookie("dgid").empty() || is_guest_token(identity.cookie("dgid")));
    assert(identity.guest_channel.empty() == identity.cookie("dgid").empty());
    for (const auto& cookie : identity.cookies)
        assert(std::ranges::count(who.cookies, cookie) == 1);
    // A page of another origin has none.
    Requester other = who;
    other.own_origin = false;
    assert(identify(other).cookies.empty() && identify(other).is_public);

    const std::string written = identity.cookie_header();
    RequestHead again(1 << 16);
    assert(again.feed(head_with(written)) == RequestHead::State::complete);
    assert(requester_of(again).cookies == identity.cookies);
}

void check_server(std::string_view given, std::string_view set_cookie) {
    CookieJar jar(given);
    assert(CookieJar(jar.header()).header() == jar.header());
    jar.set(set_cookie);
    const std::string header = jar.header();
    assert(CookieJar(header).header() == header);
    const std::string_view pair = trim(set_cookie.substr(0, set_cookie.find(';')));
    const size_t equals = pair.find('=');
    if (equals == pair.npos || equals == 0)
        return;
    const std::string set =
        std::string(trim(pair.substr(0, equals))) + "=" + std::string(trim(pair.substr(equals + 1)));
    assert(header == set || header.starts_with(set + "; ") || header.ends_with("; " + set) ||
           header.find("; " + set + "; ") != header.npos);
}

void check_gateway(std::string_view cookie) {
    constexpr std::string_view ID = "a1b2";
    const Provenance from = provenance_of(cookie, ID);
    assert(!from.named || cookie.starts_with(ID));
    assert(from.named || from.position == 0);
    assert(cookie.empty() ? !from.named && from.mover == 0 : from.named || from.mover != 0);
    const std::string set = set_gateway_cookie(from, ID, 7);
    const std::string begin = std::string(GATEWAY_COOKIE) + "=";
    assert(set.starts_with(begin));
    const Provenance again = provenance_of(set.substr(begin.size(), set.find(';') - begin.size()), ID);
    assert(again.named && again.mover == from.mover && again.position == 7);
}

// Each cookie has another name.
std::string many_cookies(std::string_view line, size_t parts) {
    std::string many;
    for (size_t i = 0; i < parts; ++i)
        many += std::to_string(i) + std::string(line) + "=; ";
    return many;
}

void check_cost(std::string_view line) {
    const auto many = [line](size_t parts) { return many_cookies(line, parts); };
    assert_linear(2'000, many, [](const std::string& cookies) {
        RequestHead head(cookies.size() + 1000);
        if (head.feed(head_with(cookies)) == RequestHead::State::complete)
            identify(requester_of(head));
    });
    assert_linear(2'000, many, [](const std::string& cookies) {
        CookieJar jar("");
        for (std::string_view left = cookies; !left.empty(); left.remove_prefix(left.find(';') + 2))
            jar.set(left.substr(0, left.find(';')));
    });
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto lines = lines_of(text);
    check_client(lines[0], lines[1]);
    check_server(lines[0], lines.back());
    check_gateway(lines[0]);
    if (lines[0].size() < 64 && is_measured(text))
        check_cost(lines[0].substr(0, lines[0].find_first_of("=;")));
    return 0;
}
