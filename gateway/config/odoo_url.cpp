// Where a port of Odoo's is.
#include "config/odoo_url.h"

#include <algorithm>
#include <charconv>

#include <spdlog/fmt/fmt.h>

namespace odoo_bus {

namespace {

// `text` behind its scheme.
std::optional<OdooUrl> parse_address(std::string_view text) {
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
    return url;
}

} // namespace

std::optional<OdooUrl> OdooUrl::parse(std::string_view text, std::string& error) {
    constexpr std::string_view HTTP = "http://";
    if (text.starts_with("https://")) {
        error =
            "https is not supported; give Odoo's own port, like http://127.0.0.1:8069, or let a local proxy "
            "do TLS";
        return std::nullopt;
    }
    const auto url = text.starts_with(HTTP) ? parse_address(text.substr(HTTP.size())) : std::nullopt;
    error = url ? "" : "is not a URL like http://127.0.0.1:8069, without a path";
    return url;
}

std::optional<OdooUrl> OdooUrl::parse_websocket(std::string_view text, std::string& error) {
    constexpr std::string_view WS = "ws://", PATH = "/websocket";
    if (text.starts_with("wss://")) {
        error = "wss is not supported; give the port of Odoo's own bus server, like ws://127.0.0.1:8072, or "
                "let a local proxy do TLS";
        return std::nullopt;
    }
    if (text.ends_with(PATH))
        text.remove_suffix(PATH.size());
    const auto url = text.starts_with(WS) ? parse_address(text.substr(WS.size())) : std::nullopt;
    error = url ? "" : "is not a URL like ws://127.0.0.1:8072, with the path /websocket or none";
    return url;
}

std::string OdooUrl::text(std::string_view scheme) const {
    const bool is_ipv6 = host.find(':') != host.npos;
    return fmt::format("{}://{}{}{}:{}", scheme, is_ipv6 ? "[" : "", host, is_ipv6 ? "]" : "", port);
}

} // namespace odoo_bus
