// How much a peer has sent, as the kernel counts it: control frames, which libwebsockets answers itself, and
// all.
#pragma once

#include <cstdint>
#include <optional>

namespace odoo_bus {

// Nothing for a unix socket.
std::optional<uint64_t> bytes_received(int socket);

} // namespace odoo_bus
