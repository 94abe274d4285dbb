// Requests to Odoo.
#include "auth/odoo/odoo_request.h"

#include <algorithm>

#include <spdlog/fmt/fmt.h>

#include "common/ascii_json.h"

namespace odoo_bus {

namespace {

constexpr size_t MAX_GUEST_TOKEN = 128;
constexpr const char* ENDS = "Connection: close\r\n";

bool is_letter_or_digit(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

// No control character, which could end the line. The request's head was checked when it was received; this
// is the last check.
bool is_clean(std::string_view text) {
    return std::ranges::none_of(text, [](char c) {
        const auto byte = static_cast<unsigned char>(c);
        return byte < ' ' || byte == 0x7f;
    });
}

void add_header(std::string& head, std::string_view name, std::string_view value) {
    if (!value.empty() && is_clean(value))
        head += fmt::format("{}: {}\r\n", name, value);
}

std::string head_of(std::string_view method, std::string_view path, const Requester& requester) {
    std::string head = fmt::format("{} {} HTTP/1.1\r\n", method, path);
    add_header(head, "Host", requester.sent_host);
    add_header(head, "X-Forwarded-Host", requester.forwarded_host);
    add_header(head, "X-Forwarded-Proto", requester.forwarded_proto);
    add_header(head, "X-Forwarded-For", requester.forwarded_for);
    add_header(head, "X-Real-IP", requester.real_ip);
    add_header(head, "User-Agent", requester.user_agent);
    add_header(head, "Accept-Language", requester.accept_language);
    return head;
}

std::string call_body(std::string_view parameters) {
    return fmt::format(R"({{"jsonrpc":"2.0","method":"call","id":1,"params":{{{}}}}})", parameters);
}

} // namespace

std::string_view Identity::cookie(std::string_view name) const {
    const auto it = std::ranges::find(cookies, name, &std::pair<std::string, std::string>::first);
    return it == cookies.end() ? std::string_view() : it->second;
}

std::string Identity::cookie_header() const {
    std::string header;
    for (const auto& [name, value] : cookies)
        header += fmt::format("{}{}={}", header.empty() ? "" : "; ", name, value);
    return header;
}

bool is_guest_token(std::string_view text) {
    const size_t bar = text.find('|');
    if (bar == text.npos || bar == 0 || bar > 18 || text.size() > MAX_GUEST_TOKEN || bar + 1 == text.size())
        return false;
    return std::ranges::all_of(text.substr(0, bar), [](char c) { return c >= '0' && c <= '9'; }) &&
           std::ranges::all_of(text.substr(bar + 1),
                               [](char c) { return is_letter_or_digit(c) || c == '-' || c == '_'; });
}

bool is_session_id(std::string_view text) {
    return text.size() >= 32 && text.size() <= 128 &&
           std::ranges::all_of(text, [](char c) { return is_letter_or_digit(c) || c == '-' || c == '_'; });
}

Identity identify(const Requester& requester) {
    Identity identity;
    if (requester.own_origin)
        identity.cookies = requester.cookies;
    std::erase_if(identity.cookies, [](const auto& cookie) {
        return (cookie.first == "dgid" && !is_guest_token(cookie.second)) ||
               (cookie.first == "session_id" && !is_session_id(cookie.second));
    });
    if (const auto guest = identity.cookie("dgid"); !guest.empty())
        identity.guest_channel = fmt::format("mail.guest_{}", guest);
    identity.is_public = identity.cookie("session_id").empty();
    return identity;
}

std::string peek_body(const std::vector<std::string>& channels, int64_t last, bool is_first_poll) {
    std::string names;
    for (const std::string& channel : channels) {
        std::string name = names.empty() ? "" : ",";
        if (write_json_string(name, channel)) // what is not UTF-8 names no channel
            names += name;
    }
    return call_body(
        fmt::format(R"("channels":[{}],"last":{},"is_first_poll":{})", names, last, is_first_poll));
}

std::string presence_body(int64_t inactivity_period, std::string_view im_status_ids_by_model) {
    return call_body(fmt::format(R"("inactivity_period":{},"im_status_ids_by_model":{})", inactivity_period,
                                 im_status_ids_by_model.empty() ? "{}" : im_status_ids_by_model));
}

std::string empty_call_body() {
    return call_body("");
}

std::string post_request(std::string_view path, const Requester& requester, std::string_view cookies,
                         std::string_view body) {
    std::string request = head_of("POST", path, requester) + ENDS;
    add_header(request, "Cookie", cookies);
    request +=
        fmt::format("Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{}", body.size(), body);
    return request;
}

std::string get_request(std::string_view path, const Requester& requester) {
    return head_of("GET", path, requester) + ENDS + "\r\n";
}

std::string websocket_request(const Requester& requester, std::string_view key) {
    const std::string& query = requester.query;
    const bool has_query = !query.empty() && is_clean(query) && query.find(' ') == query.npos;
    const std::string target = has_query ? "/websocket?" + query : "/websocket";
    std::string request = head_of("GET", target, requester);
    add_header(request, "Origin", requester.origin);
    add_header(request, "Cookie", identify(requester).cookie_header());
    request += fmt::format("Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {}\r\n"
                           "Sec-WebSocket-Version: 13\r\n\r\n",
                           key);
    return request;
}

} // namespace odoo_bus
