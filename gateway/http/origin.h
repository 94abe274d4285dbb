// Where a page came from: the host of an Origin header, and whether it is one's own.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace odoo_bus {

// How the origin of a page is compared with the address that it requested.
enum class OriginMatch {
    origin, // scheme, host and port, as far as they are known
    host    // the host alone, as cookies are
};

// The address that a browser requested.
struct RequestedSite {
    std::string host;             // with its port, as sent
    std::string scheme;           // "http", "https"; empty: unknown
    std::optional<uint16_t> port; // nothing: unknown
};

// The host of "name", "name:port", "[::1]:port", in lower case and without the port.
std::string host_only(std::string_view host_and_port);
// The port in "name:port"; nothing when there is none.
std::optional<uint16_t> port_in(std::string_view host_and_port);

// "http" and "https" for what a proxy says of a scheme: in any case, also "ws" and "wss"; else empty.
std::string http_scheme(std::string_view text);
// 80 and 443.
std::optional<uint16_t> default_port(std::string_view scheme);

// The host of a serialized origin, "https://name:port"; empty for "null" and for what is no origin.
std::string origin_host(std::string_view origin);

// Whether a page of `origin` may be served with the cookies of `site`: it is of that site, or it is one of
// `allowed` ("https://shop.example.com", compared without case).
bool is_own_origin(std::string_view origin, const RequestedSite& site, OriginMatch match,
                   const std::vector<std::string>& allowed);

} // namespace odoo_bus
