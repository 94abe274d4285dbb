// Parts of a JSON text as they stand in it, byte for byte: for showing what was received without writing it
// anew.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

namespace odoo_bus {

// The elements of an array. `array` must be valid JSON (for instance because jansson has read it).
std::vector<std::string_view> json_elements(std::string_view array);

// The last member of that name, as parsers take it. `object` must be valid JSON; names with escapes are not
// found.
std::optional<std::string_view> json_member(std::string_view object, std::string_view name);

} // namespace odoo_bus
