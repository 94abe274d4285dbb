// The meaning of Odoo's responses: bounded, validated, and of an error only its name.
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
struct NoDatabase {}; // Odoo finds no database for the host: 404, or a page in place of a response
struct Unavailable {  // Odoo fails, or another server responds in its place
    std::string reason;
};
struct Refused {
    std::string name; // data.name of the error: a name in ASCII, or empty
};
struct Done {}; // a call whose result does not matter

using PeekAnswer = std::variant<Grant, Refused, Renewed, Expired, NoDatabase, Unavailable>;
using CallAnswer = std::variant<Done, Refused, Expired, NoDatabase, Unavailable>;

// The grant: channels as stored, without duplicates, all of the database that the first channel names.
PeekAnswer read_peek(const HttpAnswer& answer, size_t max_channels = 20'000);

// An answer to update_bus_presence or on_closed.
CallAnswer read_call(const HttpAnswer& answer);

// The id of the session that the response sets, if any.
std::optional<std::string> session_set_by(const HttpAnswer& answer);

// A header line's value "session_id=...; Path=/": the id.
std::optional<std::string> session_of_cookie(std::string_view set_cookie);

} // namespace odoo_bus
