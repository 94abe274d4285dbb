// The cookie by which a client says, when it comes back, which gateway served it last: two gateways can see
// concurrent transactions in different orders, so a position is exact only where it was given.
//
// "<gateway>", or "<gateway>.<number>" for a client that had come from another gateway (moved_clients.h).
// Behind it, where the id that a client comes back with does not say enough, stands "@<process>.<position>";
// a process that takes over goes on with the positions, and so with the number, of the one before it.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/clock.h"

namespace odoo_bus {

inline constexpr const char* GATEWAY_COOKIE = "odoo_bus_gateway";

struct Provenance {
    bool named = false;    // its cookie names this gateway
    uint64_t mover = 0;    // the number of a client that has come from another gateway; 0: it has not
    uint64_t position = 0; // of what this process gave it last; 0: it does not say

    // When it came from another gateway, rounded down to seconds: the upper half of its number.
    WallTime moved_at() const { return WallTime(std::chrono::seconds(mover >> 32)); }
};

uint64_t positions_number();
// Before there is a client.
void inherit_positions_number(uint64_t number);

// `id`: of this gateway. A client that comes from another one is given a number.
Provenance provenance_of(std::string_view cookie, std::string_view id);

// The value of Set-Cookie; empty when the client has it. `position`: of what the client is given now, if the
// id does not say it.
std::string set_gateway_cookie(Provenance provenance, std::string_view id, uint64_t position = 0);

} // namespace odoo_bus
