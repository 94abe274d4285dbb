// The parser of what comes with NOTIFY imbus: a JSON array of channels. Only a hint: it tells which databases
// have something new, and nothing that correctness depends on.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace odoo_bus {

// The databases that are named, each once. Nothing when the payload is not an array of channels, a channel
// being an array that begins with the database's name and holds strings and integers.
std::optional<std::vector<std::string>> parse_notify_payload(std::string_view payload);

} // namespace odoo_bus
