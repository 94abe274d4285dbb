// The decisions that the parts of authorization by Odoo have in common.
#pragma once

#include "auth/authorizer.h"
#include "protocol/close_codes.h"

namespace odoo_bus {

inline Refusal session_expired() {
    return {.close_code = close_code::SESSION_EXPIRED, .reason = "SESSION_EXPIRED"};
}

// The page comes back at once, and gets the new id in the handshake.
inline Refusal session_renewed() {
    return {.close_code = close_code::KEEP_ALIVE_TIMEOUT, .reason = "session renewed"};
}

// Another process has taken over, and decides.
inline Refusal come_back() {
    return {.close_code = close_code::KEEP_ALIVE_TIMEOUT, .reason = "the gateway is replaced"};
}

} // namespace odoo_bus
