// A server that a command connects to.
#include "commands/endpoint.h"

#include <algorithm>
#include <charconv>

namespace odoo_bus {

namespace {

bool take(std::string_view& text, std::string_view prefix) {
    if (!text.starts_with(prefix))
        return false;
    text.remove_prefix(prefix.size());
    return true;
}

bool is_in_no_url(char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte <= ' ' || byte == 0x7f || c == '#';
}

} // namespace

Endpoint Endpoint::of(const Listener& listener) {
    Endpoint endpoint;
    endpoint.path = listener.path;
    // What listens on all addresses is reached at the loopback.
    endpoint.address = listener.address == "0.0.0.0" ? "127.0.0.1"
                       : listener.address == "::"    ? "::1"
                                                     : listener.address;
    endpoint.port = listener.port;
    if (!listener.is_unix())
        endpoint.host = listener.text();
    return endpoint;
}

std::optional<Endpoint> Endpoint::of_url(std::string_view url) {
    Endpoint endpoint;
    if (std::ranges::any_of(url, is_in_no_url))
        return std::nullopt;
    if (take(url, "ws+unix:")) {
        take(url, "//");
        endpoint.path = url;
        return url.size() > 1 && url[0] == '/' ? std::optional(endpoint) : std::nullopt;
    }
    endpoint.tls = take(url, "wss://") || take(url, "https://");
    if (!endpoint.tls && !take(url, "ws://") && !take(url, "http://"))
        return std::nullopt;
    const size_t slash = url.find_first_of("/?");
    if (slash != url.npos && url.substr(slash) != "/")
        endpoint.target = (url[slash] == '?' ? "/websocket" : "") + std::string(url.substr(slash));
    url = url.substr(0, slash);
    endpoint.host = url;
    endpoint.port = endpoint.tls ? 443 : 80;
    const size_t bracket = url.rfind(']');
    const size_t colon = url.find(':', bracket == url.npos ? 0 : bracket);
    if (colon != url.npos) {
        const std::string_view port = url.substr(colon + 1);
        const auto [end, wrong] = std::from_chars(port.data(), port.data() + port.size(), endpoint.port);
        if (wrong != std::errc() || end != port.data() + port.size() || endpoint.port == 0)
            return std::nullopt;
        url = url.substr(0, colon);
    }
    if (url.starts_with('[') && url.ends_with(']'))
        url = url.substr(1, url.size() - 2);
    endpoint.address = url;
    return !url.empty() && url.find('@') == url.npos ? std::optional(endpoint) : std::nullopt;
}

std::string Endpoint::origin() const {
    return (tls ? "https://" : "http://") + host;
}

std::string Endpoint::name() const {
    return host.starts_with('[') ? host.substr(0, host.find(']') + 1) : host.substr(0, host.find(':'));
}

} // namespace odoo_bus
