// The codes with which a connection is closed: RFC 6455 (7.4.1), and Odoo's own from 4000 on. Event streams
// and polls end for the same reasons.
#pragma once

namespace odoo_bus::close_code {

inline constexpr int NORMAL = 1000;     // Odoo's page does not come back
inline constexpr int GOING_AWAY = 1001; // the gateway stops
inline constexpr int PROTOCOL_ERROR = 1002;
inline constexpr int NO_STATUS = 1005; // is never sent: the close frame had no code
inline constexpr int NO_FRAME = 1006;  // is never sent: the connection ended without a close frame
inline constexpr int NOT_UTF8 = 1007;
inline constexpr int MESSAGE_TOO_BIG = 1009;
inline constexpr int TRY_AGAIN_LATER = 1013;
inline constexpr int SESSION_EXPIRED = 4001;    // Odoo's page comes back after a new login
inline constexpr int KEEP_ALIVE_TIMEOUT = 4002; // Odoo's page comes back within a second

// That a close frame may have this code (RFC 6455, 7.4, and the registry of IANA).
constexpr bool may_be_sent(int code) {
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
}

} // namespace odoo_bus::close_code
