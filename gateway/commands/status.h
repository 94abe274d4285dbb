// odoo-bus-gateway status: what a running gateway's metrics say, on one screen.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace odoo_bus {

// `arguments` are the gateway's own, whose --metrics-listen is asked, and those of status_table(). Returns
// the exit code: 0 only if the gateway is ready.
int run_status(const std::vector<std::string>& arguments);

// `metrics`: what GET /metrics answered; `ready`: what GET /ready did.
std::string status_text(std::string_view metrics, std::string_view ready, double now_seconds);
// The same, for programs.
std::string status_json(std::string_view metrics, std::string_view ready);

} // namespace odoo_bus
