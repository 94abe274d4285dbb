// odoo-bus-gateway status: what a running gateway's metrics say, on one screen.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace odoo_bus {

// `arguments` are the gateway's own: where its metrics are is asked of its configuration. Returns the exit
// code.
int run_status(const std::vector<std::string>& arguments);

// `metrics`: what GET /metrics answered; `ready`: what GET /ready did.
std::string status_text(std::string_view metrics, std::string_view ready, double now_seconds);

} // namespace odoo_bus
