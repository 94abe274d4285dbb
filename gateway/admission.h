// A connection that the front has judged and admitted, on its way to a service thread.
#pragma once

#include <string>

namespace odoo_bus {

struct Admission {
    int socket = -1;      // owned by whoever holds the admission
    std::string head;     // what libwebsockets is to read: the canonical head, and what followed it
    std::string database; // that the client named, or empty
    // The cookie by which the client says which gateway served it last; empty when it has none.
    std::string former_gateway;
};

} // namespace odoo_bus
