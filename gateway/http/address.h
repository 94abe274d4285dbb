// Numeric network addresses, IPv4 and IPv6 alike, and networks of them.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

struct sockaddr;

namespace odoo_bus {

class Address {
public:
    // "192.0.2.1", "2001:db8::1". An IPv4 address written as IPv6 (::ffff:192.0.2.1) is that IPv4 address.
    static std::optional<Address> parse(std::string_view text);
    // As proxies write it into X-Forwarded-For: also with a port, "192.0.2.1:51234" or "[2001:db8::1]:51234",
    // in brackets alone, or with a zone, "fe80::1%eth0".
    static std::optional<Address> parse_forwarded(std::string_view text);
    // Nothing for a unix socket's.
    static std::optional<Address> of(const sockaddr& address);

    std::string text() const;
    bool is_ipv4() const;
    // The first bits, the others zero; IPv4 has 32, IPv6 128.
    Address prefix(unsigned bits) const;

    bool operator==(const Address&) const = default;
    auto operator<=>(const Address&) const = default;

private:
    std::array<uint8_t, 16> bytes_ = {}; // IPv4 as ::ffff:a.b.c.d
};

struct Network {
    Address address;
    unsigned bits = 0;

    // "192.0.2.0/24", "::1"; bits behind the prefix must be zero.
    static std::optional<Network> parse(std::string_view text);

    bool contains(const Address& other) const {
        return other.is_ipv4() == address.is_ipv4() && other.prefix(bits) == address;
    }
    std::string text() const; // as parse() takes it
    bool operator==(const Network&) const = default;
};

} // namespace odoo_bus
