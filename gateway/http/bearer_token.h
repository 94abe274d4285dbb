// A secret that requests bear in the header Authorization (RFC 6750), as a file holds it.
#pragma once

#include <string>
#include <string_view>

#include "http/request_head.h"

namespace odoo_bus {

// The token in this file, which must be private. Empty: `problem` says why, with the file's name.
std::string read_bearer_token(const std::string& path, std::string& problem);

// Whether the request bears this token. The time does not depend on where they differ.
bool bears_token(const RequestHead& head, std::string_view token);

} // namespace odoo_bus
