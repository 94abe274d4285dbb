// The address of a listening socket, as the options name it.
#pragma once

#include <cstdint>
#include <string>

namespace odoo_bus {

// A numeric address with a port (0: any free one), or the path of a unix socket.
struct Listener {
    std::string address; // "127.0.0.1", "::1"; empty for a unix socket
    uint16_t port = 0;
    std::string path; // of the unix socket

    bool is_unix() const { return !path.empty(); }
    bool is_ipv6() const { return address.find(':') != std::string::npos; }
    // Reachable from this machine only: 127.0.0.0/8, ::1, a unix socket.
    bool is_local() const;
    std::string text() const; // as --listen takes it
    bool operator==(const Listener&) const = default;
};

} // namespace odoo_bus
