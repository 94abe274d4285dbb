// Requests of commands to a running gateway's --metrics-listen.
#pragma once

#include <optional>
#include <string>

#include "config/options.h"
#include "http/http_answer.h"

namespace odoo_bus {

// The response to GET /metrics, with the token of --metrics-token-file. Nothing, and why in `problem`.
// --metrics-listen is given.
std::optional<HttpAnswer> get_metrics(const Options& options, std::string& problem);

} // namespace odoo_bus
