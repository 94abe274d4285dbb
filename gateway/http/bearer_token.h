// Tokens that requests bear in the header Authorization (RFC 6750).
#pragma once

#include <string>
#include <string_view>

#include "http/request_head.h"

namespace odoo_bus {

// The token in this file, which must be private. Empty: `problem` says why, with the file's name.
std::string read_bearer_token(const std::string& path, std::string& problem);

// Whether the request bears this token. The time does not depend on where they differ.
bool bears_token(const RequestHead& head, std::string_view token);

// The token in a header Authorization (Bearer), or among the subprotocols of a handshake, as
// "odoo-bus.token.<token>", since pages cannot set the former. Empty: there is none.
std::string_view carried_token(std::string_view authorization, std::string_view protocols);

} // namespace odoo_bus
