// The decisions that the parts of authorization by Odoo have in common.
#pragma once

#include "auth/authorizer.h"

namespace odoo_bus {

inline constexpr int TRY_AGAIN_LATER = 1013;

inline Refusal session_expired() {
    return {.close_code = 4001, .reason = "SESSION_EXPIRED"};
}

// The page comes back at once, and gets the new id in the handshake.
inline Refusal session_renewed() {
    return {.close_code = 4002, .reason = "session renewed"};
}

// Another process has taken over, and decides.
inline Refusal come_back() {
    return {.close_code = 4002, .reason = "the gateway is replaced"};
}

} // namespace odoo_bus
