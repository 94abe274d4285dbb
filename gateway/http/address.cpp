// Numeric network addresses and networks of them.
#include "http/address.h"

#include <algorithm>
#include <charconv>
#include <cstring>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace odoo_bus {

namespace {

constexpr uint8_t IPV4_PREFIX[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
constexpr unsigned IPV4_OFFSET_BITS = 96;

} // namespace

std::optional<Address> Address::parse(std::string_view text) {
    char buffer[INET6_ADDRSTRLEN] = {};
    if (text.empty() || text.size() >= sizeof buffer || text.find('\0') != text.npos)
        return std::nullopt;
    std::memcpy(buffer, text.data(), text.size());
    Address address;
    if (inet_pton(AF_INET6, buffer, address.bytes_.data()) == 1)
        return address;
    std::memcpy(address.bytes_.data(), IPV4_PREFIX, sizeof IPV4_PREFIX);
    if (inet_pton(AF_INET, buffer, address.bytes_.data() + sizeof IPV4_PREFIX) == 1)
        return address;
    return std::nullopt;
}

std::optional<Address> Address::parse_forwarded(std::string_view text) {
    std::string_view port;
    if (const size_t bracket = text.find(']'); text.starts_with('[') && bracket != text.npos) {
        port = text.substr(bracket + 1);
        text = text.substr(1, bracket - 1);
        if (text.find(':') == text.npos) // IPv4 has no brackets
            return std::nullopt;
    } else if (const size_t colon = text.find(':'); colon != text.npos && colon == text.rfind(':')) {
        port = text.substr(colon);
        text = text.substr(0, colon);
    }
    if (!port.empty()) {
        uint16_t number;
        const char* const end = port.data() + port.size();
        const auto [stop, error] = std::from_chars(port.data() + 1, end, number);
        if (port[0] != ':' || error != std::errc() || stop != end)
            return std::nullopt;
    }
    return parse(text.substr(0, text.find('%')));
}

std::optional<Address> Address::of(const sockaddr& address) {
    Address result;
    if (address.sa_family == AF_INET) {
        const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
        std::memcpy(result.bytes_.data(), IPV4_PREFIX, sizeof IPV4_PREFIX);
        std::memcpy(result.bytes_.data() + sizeof IPV4_PREFIX, &v4.sin_addr, sizeof v4.sin_addr);
        return result;
    }
    if (address.sa_family == AF_INET6) {
        const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
        std::memcpy(result.bytes_.data(), &v6.sin6_addr, sizeof v6.sin6_addr);
        return result;
    }
    return std::nullopt;
}

bool Address::is_ipv4() const {
    return std::memcmp(bytes_.data(), IPV4_PREFIX, sizeof IPV4_PREFIX) == 0;
}

std::string Address::text() const {
    char buffer[INET6_ADDRSTRLEN] = {};
    if (is_ipv4())
        inet_ntop(AF_INET, bytes_.data() + sizeof IPV4_PREFIX, buffer, sizeof buffer);
    else
        inet_ntop(AF_INET6, bytes_.data(), buffer, sizeof buffer);
    return buffer;
}

Address Address::prefix(unsigned bits) const {
    if (is_ipv4())
        bits += IPV4_OFFSET_BITS;
    Address result = *this;
    for (unsigned i = 0; i < result.bytes_.size(); ++i) {
        const unsigned kept = bits > i * 8 ? std::min(8u, bits - i * 8) : 0;
        result.bytes_[i] &= static_cast<uint8_t>(0xff00u >> kept);
    }
    return result;
}

std::optional<Network> Network::parse(std::string_view text) {
    const size_t slash = text.find('/');
    const auto address = Address::parse(text.substr(0, slash));
    if (!address)
        return std::nullopt;
    const unsigned most = address->is_ipv4() ? 32 : 128;
    Network network{*address, most};
    if (slash != text.npos) {
        const std::string_view bits = text.substr(slash + 1);
        const auto [end, error] = std::from_chars(bits.data(), bits.data() + bits.size(), network.bits);
        if (error != std::errc() || end != bits.data() + bits.size() || network.bits > most)
            return std::nullopt;
    }
    return network.address.prefix(network.bits) == network.address ? std::optional(network) : std::nullopt;
}

std::string Network::text() const {
    return address.text() + "/" + std::to_string(bits);
}

} // namespace odoo_bus
