// Who may see what: the one interface that every kind of authorization implements.
#pragma once

#include <functional>
#include <string>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "http/admission.h"
#include "protocol/client_event.h"
#include "protocol/notification.h"

namespace odoo_bus {

// The channels, as stored, that a connection is granted in one database. It replaces the former grant.
struct Grant {
    std::string database;
    std::vector<std::string> channels;
    // Names of the client that stand for none of these, where that is known.
    std::vector<std::string> refused = {};
    // Who it is to those who see the channels (presence.h); empty: nobody.
    std::string member = {};
    // The connection ends with `end_code`, so that the client asks anew, when the first of these is reached.
    WallTime expires = WallTime::max();    // a token has a date
    Monotonic renew_at = Monotonic::max(); // other grants have an age
    int end_code = 4001;
};

// The former grant and the connection are kept, unless close_code says otherwise.
struct Refusal {
    int close_code = 0;
    std::string reason; // for the log; holds nothing of what the client sent
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
    // The position up to which it has been given notifications; 0 while it was given none.
    virtual Position received() const = 0;
};

class Authorizer {
public:
    virtual ~Authorizer() = default;

    // Decides, at once or later, on the thread that asks. `first`: it is the connection's first subscribe.
    virtual void authorize(const Admission& admission, const Subscribe& subscribe, bool first,
                           std::function<void(Decision)> decide) = 0;

    // A connection begins, says that it is there, and ends. The admission stays the same object meanwhile.
    virtual void joined(const Admission&, Client&) {}
    virtual void told(const Admission&, const UpdatePresence&) {}
    virtual void left(const Admission&) {}
    // The client ends it by itself: a page that is loaded anew, or left. Before left().
    virtual void parted(const Admission&) {}

    // About once a second.
    virtual void tick() {}
};

} // namespace odoo_bus
