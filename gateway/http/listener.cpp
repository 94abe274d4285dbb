// The address of a listening socket.
#include "http/listener.h"

#include <arpa/inet.h>

#include <spdlog/fmt/fmt.h>

namespace odoo_bus {

bool Listener::is_local() const {
    if (is_unix())
        return true;
    if (is_ipv6()) {
        in6_addr binary;
        return inet_pton(AF_INET6, address.c_str(), &binary) == 1 && IN6_IS_ADDR_LOOPBACK(&binary);
    }
    in_addr binary;
    return inet_pton(AF_INET, address.c_str(), &binary) == 1 && (ntohl(binary.s_addr) >> 24) == 127;
}

std::string Listener::text() const {
    if (is_unix())
        return "unix:" + path;
    return is_ipv6() ? fmt::format("[{}]:{}", address, port) : fmt::format("{}:{}", address, port);
}

} // namespace odoo_bus
