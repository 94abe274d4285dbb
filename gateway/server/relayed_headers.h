// The headers of a request that reach Odoo when it is passed on.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "http/request_head.h"

namespace odoo_bus {

// The headers that are the client's own to send, in their order; several Cookie headers are one.
std::vector<std::pair<std::string_view, std::string>> relayed_headers(const RequestHead& head);

// Headers that concern one connection or the framing of one message, which both sides set for themselves.
bool is_hop_by_hop(std::string_view name);

} // namespace odoo_bus
