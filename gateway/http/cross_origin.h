// Pages of other origins that may read what they ask for (CORS).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "http/http_response.h"

namespace odoo_bus {

// `origin` when it is one of `allowed`: its pages may read answers, and their browsers send cookies. Else
// empty.
std::string foreign_reader(std::string_view origin, const std::vector<std::string>& allowed);

// The answer to what a browser asks before it sends a page's request to a foreign host.
Response preflight(const std::string& reader);

} // namespace odoo_bus
