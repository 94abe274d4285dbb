// Where a page came from.
#include "http/origin.h"

#include <algorithm>
#include <charconv>

#include "http/request_head.h"

namespace odoo_bus {

namespace {

std::string lower(std::string_view text) {
    std::string lowered(text);
    std::ranges::transform(lowered, lowered.begin(),
                           [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    return lowered;
}

// The host and the port of an origin; empty if it has anything else.
std::string_view authority_of(std::string_view origin) {
    const size_t scheme = origin.find("://");
    if (scheme == origin.npos || scheme == 0)
        return {};
    const std::string_view rest = origin.substr(scheme + 3);
    // A browser never sends one with a path, a user or a space.
    return rest.find_first_of("/\\@?# \t,") == rest.npos ? rest : std::string_view();
}

// A colon and what follows it; empty without one.
std::string_view port_part(std::string_view host) {
    const size_t bracket = host.starts_with('[') ? host.find(']') : 0;
    const size_t colon = bracket == host.npos ? bracket : host.find(':', bracket);
    return colon == host.npos ? std::string_view() : host.substr(colon);
}

bool is_same_site(std::string_view origin, const RequestedSite& site) {
    const std::string scheme = http_scheme(origin.substr(0, origin.find("://")));
    if (!site.scheme.empty() && scheme != site.scheme)
        return false;
    if (!site.port)
        return true;
    const std::string_view authority = authority_of(origin);
    const auto port = port_part(authority).empty() ? default_port(scheme) : port_in(authority);
    return port == site.port;
}

} // namespace

std::string host_only(std::string_view host) {
    if (host.starts_with('['))
        host = host.substr(0, host.find(']') + 1); // nothing when there is none
    else
        host = host.substr(0, host.find(':'));
    while (host.ends_with('.')) // the root's: the same host
        host.remove_suffix(1);
    return lower(host);
}

std::optional<uint16_t> port_in(std::string_view host) {
    std::string_view digits = port_part(host);
    if (digits.empty())
        return std::nullopt;
    digits.remove_prefix(1);
    uint16_t port = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
    return error == std::errc() && end == digits.data() + digits.size() && port != 0 ? std::optional(port)
                                                                                     : std::nullopt;
}

std::string http_scheme(std::string_view text) {
    const std::string scheme = lower(text);
    if (scheme == "https" || scheme == "wss")
        return "https";
    return scheme == "http" || scheme == "ws" ? "http" : "";
}

std::optional<uint16_t> default_port(std::string_view scheme) {
    if (scheme == "https")
        return 443;
    return scheme == "http" ? std::optional<uint16_t>(80) : std::nullopt;
}

std::string origin_host(std::string_view origin) {
    return host_only(authority_of(origin));
}

bool is_own_origin(std::string_view origin, const RequestedSite& site, OriginMatch match,
                   const std::vector<std::string>& allowed) {
    const std::string from = origin_host(origin);
    if (from.empty())
        return false;
    if (from == host_only(site.host) && (match == OriginMatch::host || is_same_site(origin, site)))
        return true;
    return std::ranges::any_of(
        allowed, [origin](const std::string& each) { return equal_ignoring_case(each, origin); });
}

} // namespace odoo_bus
