// Authorization: the one interface that every kind of it implements.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "http/admission.h"
#include "protocol/client_event.h"
#include "protocol/close_codes.h"
#include "protocol/notification.h"

namespace odoo_bus {

// How long notifications may wait for the confirmation of a grant (Authorizer::confirm()).
inline constexpr Duration CONFIRM_WITHIN = std::chrono::seconds(1);

// The channels, as stored, that a connection is granted in one database. It replaces the former grant.
struct Grant {
    std::string database;
    std::vector<std::string> channels;
    // Names that the client asked for and that stand for none of these, where that is known.
    std::vector<std::string> refused = {};
    // The member as which the client is present on the channels (presence.h); empty: it is not present.
    std::string member = {};
    // The connection ends with `end_code`, so that the client asks anew, when the first of these is reached.
    WallTime expires = WallTime::max();    // a token has a date
    Monotonic renew_at = Monotonic::max(); // other grants have an age
    int end_code = close_code::SESSION_EXPIRED;
    // For each of `channels`, whether it is personal: granted for the client's identity. Empty: none is. From
    // `confirmed_until` on, notifications on personal channels wait for a confirmation.
    std::vector<bool> personal = {};
    Monotonic confirmed_until = Monotonic::max();
};

// The former grant and the connection are kept, unless close_code says otherwise.
struct Refusal {
    int close_code = 0;
    std::string reason; // for the log; repeats nothing that the client sent
};

using Decision = std::variant<Grant, Refusal>;

// A connection, as an authorizer may address it later: on the thread that it is served by.
class Client {
public:
    virtual ~Client() = default;
    // The grant is taken back, and the connection ended.
    virtual void take_back(const Refusal& refusal) = 0;
    // The grant has changed while the client asked for nothing.
    virtual void regrant(const Grant& grant) = 0;
    // The grant is confirmed; see Grant::confirmed_until. True when notifications have waited for that.
    virtual bool confirmed(Monotonic until) = 0;
    // It cannot be confirmed within CONFIRM_WITHIN.
    virtual void unconfirmed() = 0;
    // The position of the last notification that it was sent; 0 before the first one.
    virtual Position received() const = 0;
};

class Authorizer {
public:
    virtual ~Authorizer() = default;

    // Decides, at once or later, on the thread that asks. `first`: it is the connection's first subscribe.
    virtual void authorize(const Admission& admission, const Subscribe& subscribe, bool first,
                           std::function<void(Decision)> decide) = 0;

    // Notifications wait for the confirmation of a client's grant. The client is told the result, unless it
    // comes later than CONFIRM_WITHIN.
    virtual void confirm(const Admission&) {}

    // A connection begins, reports its presence, and ends. The admission stays the same object meanwhile.
    virtual void joined(const Admission&, Client&) {}
    virtual void told(const Admission&, const UpdatePresence&) {}
    virtual void left(const Admission&) {}
    // The client ends the connection: its page is reloaded, or left. Called before left().
    virtual void parted(const Admission&) {}

    // --- a connection to Odoo's own bus server beside this one (--odoo-websocket) ---

    // Replaces cookies that have been replaced since the client connected.
    virtual void renew(Requester&) const {}
    // Whether the answer that sets these cookies to the requester gives its session another id, which the
    // browser gets when it comes back.
    virtual bool changes_session(const Requester&, const std::vector<std::string_view>&) { return false; }
    // Odoo hears of the client's end by that connection.
    virtual void odoo_hears_of_end(const Admission&) {}

    // About once a second.
    virtual void tick() {}
};

} // namespace odoo_bus
