// How much a peer has sent. On its own, since <linux/tcp.h> cannot stand next to <netinet/tcp.h>.
#include "clients/bytes_received.h"

#include <cstddef>

#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace odoo_bus {

std::optional<uint64_t> bytes_received(int socket) {
    tcp_info info = {};
    socklen_t length = sizeof info;
    if (getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &length) ||
        length < offsetof(tcp_info, tcpi_bytes_received) + sizeof info.tcpi_bytes_received)
        return std::nullopt;
    return info.tcpi_bytes_received;
}

} // namespace odoo_bus
