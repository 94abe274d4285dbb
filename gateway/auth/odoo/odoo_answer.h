// What Odoo's answers mean: bounded, validated, and nothing of an error but its name.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "auth/authorizer.h"
#include "http/http_answer.h"

namespace odoo_bus {

struct Renewed {};    // the session has another id now, which its browser must get first: from OdooPort
struct Expired {};    // the session has ended: JSON-RPC error 100, and that alone
struct NoDatabase {}; // Odoo cannot tell which database is meant: 404, or a page in place of an answer
struct Unavailable {  // Odoo is in trouble, or something stands in its place
    std::string reason;
};
struct Refused {
    std::string name; // data.name of the error, printable, or empty
};
struct Done {}; // a call without a result that counts

using PeekAnswer = std::variant<Grant, Refused, Renewed, Expired, NoDatabase, Unavailable>;
using CallAnswer = std::variant<Done, Refused, Expired, NoDatabase, Unavailable>;

// The grant: channels as stored, each once, all of one database, the one that the first channel names.
PeekAnswer read_peek(const HttpAnswer& answer, size_t max_channels = 20'000);

// An answer to update_bus_presence or on_closed.
CallAnswer read_call(const HttpAnswer& answer);

// The id of the session that the answer sets, when it sets one.
std::optional<std::string> session_set_by(const HttpAnswer& answer);

// A header line's value "session_id=...; Path=/": the id.
std::optional<std::string> session_of_cookie(std::string_view set_cookie);

} // namespace odoo_bus
