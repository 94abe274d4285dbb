// Where Odoo's HTTP port is.
#include "config/odoo_url.h"

#include <algorithm>
#include <charconv>

#include <spdlog/fmt/fmt.h>

namespace odoo_bus {

std::optional<OdooUrl> OdooUrl::parse(std::string_view text, std::string& error) {
    constexpr std::string_view HTTP = "http://";
    if (text.starts_with("https://")) {
        error =
            "https is not supported; give Odoo's own port, like http://127.0.0.1:8069, or let a local proxy "
            "do TLS";
        return std::nullopt;
    }
    error = "is not a URL like http://127.0.0.1:8069, without a path";
    if (!text.starts_with(HTTP))
        return std::nullopt;
    text.remove_prefix(HTTP.size());
    if (text.ends_with('/'))
        text.remove_suffix(1);
    OdooUrl url;
    std::string_view port;
    if (text.starts_with('[')) {
        const size_t bracket = text.find(']');
        if (bracket == text.npos)
            return std::nullopt;
        url.host = text.substr(1, bracket - 1);
        port = text.substr(bracket + 1);
    } else {
        const size_t colon = text.find(':');
        url.host = text.substr(0, colon);
        port = colon == text.npos ? "" : text.substr(colon);
    }
    const bool is_host = !url.host.empty() && std::ranges::all_of(url.host, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
               c == '-' || c == '_' || c == ':';
    });
    if (!is_host)
        return std::nullopt;
    if (!port.empty()) {
        const auto [end, wrong] = std::from_chars(port.data() + 1, port.data() + port.size(), url.port);
        if (port[0] != ':' || wrong != std::errc() || end != port.data() + port.size() || url.port == 0)
            return std::nullopt;
    }
    error.clear();
    return url;
}

std::string OdooUrl::text() const {
    const bool is_ipv6 = host.find(':') != host.npos;
    return fmt::format("http://{}{}{}:{}", is_ipv6 ? "[" : "", host, is_ipv6 ? "]" : "", port);
}

} // namespace odoo_bus
