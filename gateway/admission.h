// A connection that the front has judged and admitted, on its way to a service thread.
#pragma once

#include <string>

namespace odoo_bus {

// Names the gateway that served a client last: two gateways can see concurrent transactions in different
// orders, so a position is exact only where it was given.
inline constexpr const char* GATEWAY_COOKIE = "odoo_bus_gateway";

struct Admission {
    int socket = -1;            // owned by whoever holds the admission
    std::string head;           // what libwebsockets is to read: the canonical head, and what followed it
    std::string database;       // that the client named, or empty
    std::string former_gateway; // the value of that cookie, or empty
};

} // namespace odoo_bus
