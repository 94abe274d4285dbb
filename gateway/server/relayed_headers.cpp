// The headers of a request that reach Odoo when it is passed on.
#include "server/relayed_headers.h"

#include <algorithm>
#include <set>
#include <utility>

#include "base/text.h"

namespace odoo_bus {

namespace {

constexpr std::string_view HOP_BY_HOP[] = {
    "connection",        "keep-alive",     "te",     "trailer",       "trailers", "upgrade",
    "transfer-encoding", "content-length", "expect", "http2-settings"};

// Headers by which a proxy describes a client: its address, host, scheme, path, identity. Some of them are
// written anew as a trusted proxy has sent them (Requester); Odoo, werkzeug or a module of Odoo reads others.
// Each entry stands for all names that begin with it.
constexpr std::string_view OF_A_PROXY[] = {"forwarded",  "x-forwarded", "x-real-",     "x-client-",
                                           "client-ip",  "x-cluster-",  "true-client", "cf-connecting-",
                                           "x-scheme",   "x-url-",      "x-host",      "x-original-",
                                           "x-rewrite-", "remote-",     "x-remote-",   "via"};

// "proxy": WSGI and CGI programs read the header Proxy as the variable HTTP_PROXY. "accept-encoding": an
// answer is read before it is passed on.
constexpr std::string_view NOT_FOR_ODOO[] = {"proxy", "x-odoo", "x-openerp", "authorization",
                                             "accept-encoding"};

bool begins_ignoring_case(std::string_view name, std::string_view beginning) {
    return equal_ignoring_case(name.substr(0, beginning.size()), beginning);
}

template <size_t N>
bool begins_with_one_of(std::string_view name, const std::string_view (&beginnings)[N]) {
    return std::ranges::any_of(beginnings,
                               [name](std::string_view each) { return begins_ignoring_case(name, each); });
}

// A WSGI server writes "-" as "_": to Odoo, X_Forwarded_For is X-Forwarded-For, and Transfer_Encoding
// Transfer-Encoding. Of the other characters of a token no header makes use.
bool is_plain(std::string_view name) {
    return std::ranges::all_of(name, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
    });
}

std::string lower(std::string_view name) {
    std::string text(name);
    std::ranges::transform(text, text.begin(),
                           [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    return text;
}

// The elements of a comma-separated list, in lower case.
std::set<std::string> listed(std::string_view list) {
    std::set<std::string> elements;
    while (!list.empty()) {
        const size_t end = list.find(',');
        elements.insert(lower(trim(list.substr(0, end))));
        list.remove_prefix(end == list.npos ? list.size() : end + 1);
    }
    return elements;
}

} // namespace

bool is_hop_by_hop(std::string_view name) {
    return begins_ignoring_case(name, "proxy-") ||
           std::ranges::any_of(HOP_BY_HOP,
                               [name](std::string_view each) { return equal_ignoring_case(name, each); });
}

std::vector<std::pair<std::string_view, std::string>> relayed_headers(const RequestHead& head) {
    std::vector<std::pair<std::string_view, std::string>> relayed;
    const std::set<std::string> ends_here = listed(head.joined("connection"));
    bool has_cookies = false;
    for (size_t i = 0; i < head.header_count(); ++i) {
        const auto [name, value] = head.header(i);
        // RFC 9110, section 7.6.1: Connection names headers that end here. Host does not.
        const bool is_host = equal_ignoring_case(name, "host");
        if (!is_plain(name) || is_hop_by_hop(name) || (!is_host && ends_here.contains(lower(name))) ||
            begins_with_one_of(name, OF_A_PROXY) || begins_with_one_of(name, NOT_FOR_ODOO))
            continue;
        if (!equal_ignoring_case(name, "cookie"))
            relayed.emplace_back(name, value);
        else if (!std::exchange(has_cookies, true)) // a WSGI server joins them with a comma
            relayed.emplace_back(name, head.cookies());
    }
    return relayed;
}

} // namespace odoo_bus
