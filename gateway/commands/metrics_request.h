// Requests of commands to a running gateway's --metrics-listen.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "commands/server_connection.h"
#include "config/options.h"
#include "http/http_answer.h"

namespace odoo_bus {

// The response to a GET of this path, with the token of --metrics-token-file. Nothing, and why in `problem`.
// --metrics-listen is given.
std::optional<HttpAnswer> get_metrics(const Options& options, std::string_view path, std::string& problem,
                                      const ConnectionSettings& settings = {});
// Why that is not what was asked for, in one sentence; empty: it is. `problem`: of get_metrics().
std::string judge(const std::optional<HttpAnswer>& answer, const Options& options,
                  const std::string& problem);

} // namespace odoo_bus
