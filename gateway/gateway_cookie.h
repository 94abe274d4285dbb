// The cookie by which a client says, when it comes back, which gateway served it last: two gateways can see
// concurrent transactions in different orders, so a position is exact only where it was given.
//
// "<gateway>", or "<gateway>.<number>" for a client that had come from another gateway (movers.h).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace odoo_bus {

inline constexpr const char* GATEWAY_COOKIE = "odoo_bus_gateway";

struct Provenance {
    bool named = false; // its cookie names this gateway
    uint64_t mover = 0; // the number of a client that has come from another gateway; 0: it has not
};

// `id`: of this gateway. Who comes from another one is given a number.
Provenance provenance_of(std::string_view cookie, std::string_view id);

// What Set-Cookie is to say; empty when the client knows it.
std::string set_gateway_cookie(Provenance provenance, std::string_view id);

} // namespace odoo_bus
