// A connection that the front has judged and admitted, on its way to a service thread.
#pragma once

#include <memory>
#include <string>

#include "http/address_limits.h"
#include "http/gateway_cookie.h"
#include "http/http_request.h"
#include "http/memory_account.h"
#include "http/requester.h"

namespace odoo_bus {

// How notifications travel to the client.
enum class Transport : uint8_t { websocket, events, poll };

struct Admission {
    int socket = -1; // owned by the holder of the admission
    Transport transport = Transport::websocket;
    std::string head;      // what libwebsockets is to read: the canonical head, and what followed it
    std::string database;  // that the client named, or empty
    Provenance provenance; // which gateway served it last
    std::shared_ptr<const HttpRequest> request; // null for a WebSocket
    AddressLimits::Seat seat;                   // among the connections of its address
    std::shared_ptr<const Requester> requester; // null when the authorizer does not need it
    MemoryCharge charge;                        // what is held for the connection
};

} // namespace odoo_bus
