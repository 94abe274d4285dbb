// Where a page came from. Ports and schemes are not compared: cookies know neither, and behind a proxy the
// gateway does not know its own.
#include "http/origin.h"

#include <algorithm>

#include "http/request_head.h"

namespace odoo_bus {

std::string host_only(std::string_view host) {
    if (host.starts_with('['))
        host = host.substr(0, host.find(']') + 1); // nothing when there is none
    else
        host = host.substr(0, host.find(':'));
    while (host.ends_with('.')) // the root's: the same host
        host.remove_suffix(1);
    std::string lower(host);
    std::ranges::transform(lower, lower.begin(),
                           [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    return lower;
}

std::string origin_host(std::string_view origin) {
    const size_t scheme = origin.find("://");
    if (scheme == origin.npos || scheme == 0)
        return {};
    const std::string_view rest = origin.substr(scheme + 3);
    // A browser never sends one with a path, a user or a space.
    if (rest.find_first_of("/\\@?# \t,") != rest.npos)
        return {};
    return host_only(rest);
}

bool is_own_origin(std::string_view origin, std::string_view host, const std::vector<std::string>& allowed) {
    const std::string from = origin_host(origin);
    if (from.empty())
        return false;
    return from == host_only(host) || std::ranges::any_of(allowed, [origin](const std::string& each) {
               return equal_ignoring_case(each, origin);
           });
}

} // namespace odoo_bus
