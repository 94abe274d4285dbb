// Where a port of Odoo's is: --odoo-url, --odoo-websocket.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace odoo_bus {

struct OdooUrl {
    std::string host; // a name, an IPv4 address, or an IPv6 address without brackets
    uint16_t port = 80;

    // "http://127.0.0.1:8069". Nothing, and why in `error`, for anything else.
    static std::optional<OdooUrl> parse(std::string_view text, std::string& error);
    // "ws://127.0.0.1:8072", with the path /websocket or none.
    static std::optional<OdooUrl> parse_websocket(std::string_view text, std::string& error);
    std::string text(std::string_view scheme = "http") const;
    bool operator==(const OdooUrl&) const = default;
};

} // namespace odoo_bus
