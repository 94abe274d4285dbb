// Where a page came from: the host of an Origin header, and whether it is one's own.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace odoo_bus {

// The host of "name", "name:port", "[::1]:port", in lower case and without the port.
std::string host_only(std::string_view host_and_port);

// The host of a serialized origin, "https://name:port"; empty for "null" and for what is no origin.
std::string origin_host(std::string_view origin);

// Whether a page of `origin` may be served with the cookies of `host`: it has the same host, or it is one of
// `allowed` ("https://shop.example.com", compared without case).
bool is_own_origin(std::string_view origin, std::string_view host, const std::vector<std::string>& allowed);

} // namespace odoo_bus
