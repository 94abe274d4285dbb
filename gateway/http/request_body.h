// The body of a request, and the origins that may read its answer.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "http/http_response.h"

namespace odoo_bus {

class HttpConnection;

// Waits for the body that the head announces (HttpConnection::awaits_body()), or returns the refusal.
std::optional<Response> read_body(HttpConnection& connection, size_t max_bytes);

// `origin` when it is one of `allowed`: its pages may read answers, and their browsers send cookies. Else
// empty.
std::string foreign_reader(std::string_view origin, const std::vector<std::string>& allowed);

// The answer to what a browser asks before it sends a page's request to a foreign host (CORS).
Response preflight(const std::string& reader);

} // namespace odoo_bus
