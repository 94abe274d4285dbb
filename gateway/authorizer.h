// Who may see what: the one interface that every kind of authorization implements.
#pragma once

#include <functional>
#include <string>
#include <variant>
#include <vector>

#include "admission.h"
#include "client_event.h"

namespace odoo_bus {

// The channels, as stored, that a connection is granted in one database. It replaces the former grant.
struct Grant {
    std::string database;
    std::vector<std::string> channels;
    std::vector<std::string> refused =
        {}; // names of the client that stand for none of them, where that is known
};

// The former grant and the connection are kept, unless close_code says otherwise.
struct Refusal {
    int close_code = 0;
    std::string reason; // for the log; holds nothing of what the client sent
};

using Decision = std::variant<Grant, Refusal>;

class Authorizer {
public:
    virtual ~Authorizer() = default;

    // Decides, at once or later, on the thread that asks. `first`: it is the connection's first subscribe.
    virtual void authorize(const Admission& admission, const Subscribe& subscribe, bool first,
                           std::function<void(Decision)> decide) = 0;

    // The connection with this admission, which was given to authorize() or not, has ended.
    virtual void left(const Admission&) {}
};

} // namespace odoo_bus
