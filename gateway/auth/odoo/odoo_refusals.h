// What the parts of the service have in common: paths, codes, and lines for the log.
#pragma once

#include <cstdint>
#include <string>

#include "auth/authorizer.h"
#include "auth/odoo/grant_table.h"
#include "base/log.h"
#include "config/options.h"

namespace odoo_bus {

inline constexpr const char* PEEK = "/websocket/peek_notifications";

inline constexpr int TRY_AGAIN_LATER = 1013;
inline constexpr uint64_t TICK_MS = 100;

inline uint64_t ms(Milliseconds milliseconds) {
    return static_cast<uint64_t>(milliseconds.count());
}

inline int64_t us(Milliseconds milliseconds) {
    return std::chrono::microseconds(milliseconds).count();
}

inline Refusal session_expired() {
    return {.close_code = 4001, .reason = "SESSION_EXPIRED"};
}

// The page comes back at once, and gets the new id in the handshake.
inline Refusal session_renewed() {
    return {.close_code = 4002, .reason = "session renewed"};
}

// Another process has taken over, and is to decide.
inline Refusal come_back() {
    return {.close_code = 4002, .reason = "the gateway is replaced"};
}

// In the queue clients take turns: sessions, and connections without one by their address.
inline std::string turn_of(const GrantTable::Subject& subject) {
    if (!subject.identity.is_public)
        return std::string(subject.session());
    return subject.who->address ? subject.who->address->text() : "local";
}

inline void log_trouble(const Options& options, const std::string& what) {
    static log::Limited lines("questions without an answer", 1);
    lines.write(log::Level::warning, "Odoo at {}: {}", options.odoo_url.text(), what);
}

inline void log_no_database(const std::string& host) {
    static log::Limited lines("hosts without a database", 1);
    lines.write(
        log::Level::warning,
        "Odoo knows no database for host \"{}\": check its dbfilter, and that the proxy passes on Host or "
        "X-Forwarded-Host",
        host);
}

} // namespace odoo_bus
