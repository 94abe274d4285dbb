// Where Odoo's HTTP port is: --odoo-url.
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
    std::string text() const;
    bool operator==(const OdooUrl&) const = default;
};

} // namespace odoo_bus
