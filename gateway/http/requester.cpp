// The client that opened a connection.
#include "http/requester.h"

#include <algorithm>

#include "base/keyed_hash.h"
#include "base/text.h"
#include "http/gateway_cookie.h"
#include "http/origin.h"
#include "http/request_head.h"

namespace odoo_bus {

namespace {

// Odoo, too, believes the last element: the one that the nearest proxy has added.
std::string_view last_element(std::string_view list) {
    const size_t comma = list.rfind(',');
    return trim(comma == list.npos ? list : list.substr(comma + 1));
}

// A tab is the one control character that a header may hold; nothing here needs it.
std::string without_tabs(std::string text) {
    std::ranges::replace(text, '\t', ' ');
    return text;
}

std::vector<std::pair<std::string, std::string>> cookies_of(const RequestHead& head) {
    std::vector<std::pair<std::string, std::string>> cookies;
    KeyedSet<std::string_view> names;
    const std::string line = head.cookies();
    std::string_view left = line;
    while (!left.empty()) {
        const size_t end = left.find(';');
        const std::string_view pair = trim(left.substr(0, end));
        left.remove_prefix(end == left.npos ? left.size() : end + 1);
        const size_t equals = pair.find('=');
        if (equals == pair.npos || equals == 0 || pair.find('\t') != pair.npos)
            continue;
        const std::string_view name = trim(pair.substr(0, equals));
        if (name != GATEWAY_COOKIE && names.insert(name).second)
            cookies.emplace_back(name, trim(pair.substr(equals + 1)));
    }
    return cookies;
}

} // namespace

std::optional<std::string_view> Requester::cookie(std::string_view name) const {
    const auto it = std::ranges::find(cookies, name, &std::pair<std::string, std::string>::first);
    return it == cookies.end() ? std::nullopt : std::optional<std::string_view>(it->second);
}

size_t Requester::held_bytes() const {
    size_t bytes = sizeof *this;
    for (const auto& [name, value] : cookies)
        bytes += sizeof cookies[0] + name.size() + value.size();
    for (const std::string* const text :
         {&host, &sent_host, &forwarded_host, &forwarded_proto, &forwarded_for, &real_ip, &user_agent,
          &accept_language, &authorization, &protocols, &worker_version, &new_cookie})
        bytes += text->size();
    return bytes;
}

bool Trust::is_proxy(const std::optional<Address>& peer) const {
    return !peer ||
           std::ranges::any_of(proxies, [&peer](const Network& each) { return each.contains(*peer); });
}

std::optional<Address> client_address(const RequestHead& head, const std::optional<Address>& peer,
                                      const Trust& trust) {
    if (!trust.is_proxy(peer))
        return peer;
    const std::string forwarded_for = head.joined("x-forwarded-for");
    if (forwarded_for.empty())
        return std::nullopt;
    return Address::parse_forwarded(last_element(forwarded_for)).value_or(Address());
}

// A port in Host or X-Forwarded-Host is the browser's own. X-Forwarded-Port, a proxy's, counts where there is
// none. While no header of a proxy names a scheme or a port, these are unknown: a page of Odoo's port may
// have been sent to the gateway's.
RequestedSite requested_site(const RequestHead& head, const std::optional<Address>& peer,
                             const Trust& trust) {
    RequestedSite site;
    site.host = head.first("host").value_or("");
    if (!trust.is_proxy(peer))
        return site;
    const std::string hosts = head.joined("x-forwarded-host"), ports = head.joined("x-forwarded-port"),
                      schemes = head.joined("x-forwarded-proto");
    if (const auto host = last_element(hosts); !host.empty())
        site.host = host;
    site.scheme = http_scheme(last_element(schemes));
    if (!site.scheme.empty() || !hosts.empty() || !ports.empty())
        site.port = port_in(site.host);
    if (!site.port && !ports.empty())
        site.port = port_in(":" + std::string(last_element(ports)));
    if (!site.port)
        site.port = default_port(site.scheme);
    return site;
}

Requester make_requester(const RequestHead& head, const std::optional<Address>& peer, const Trust& trust) {
    const auto one = [&head](std::string_view name) {
        return without_tabs(std::string(head.first(name).value_or("")));
    };
    Requester requester;
    requester.sent_host = one("host");
    requester.host = requester.sent_host;
    requester.address = peer;
    if (trust.is_proxy(peer)) {
        requester.forwarded_host = without_tabs(head.joined("x-forwarded-host"));
        requester.forwarded_proto = without_tabs(head.joined("x-forwarded-proto"));
        requester.forwarded_for = without_tabs(head.joined("x-forwarded-for"));
        requester.real_ip = one("x-real-ip");
        if (const auto host = last_element(requester.forwarded_host); !host.empty())
            requester.host = host;
        if (const auto address = Address::parse_forwarded(last_element(requester.forwarded_for)))
            requester.address = address;
    }
    requester.origin = one("origin");
    requester.query = head.query();
    const RequestedSite site = requested_site(head, peer, trust);
    requester.own_origin = is_own_origin(requester.origin, site, trust.origin_match, trust.origins);
    requester.same_host = is_own_origin(requester.origin, site, trust.origin_match, {});
    requester.cookies = cookies_of(head);
    requester.user_agent = one("user-agent");
    requester.accept_language = one("accept-language");
    requester.authorization = one("authorization");
    requester.protocols = head.joined("sec-websocket-protocol");
    return requester;
}

} // namespace odoo_bus
