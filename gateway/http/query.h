// The query of a request target: name=value pairs, percent-decoded.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace odoo_bus {

// `%41` is "A", "+" is a space. Nothing when a "%" is not followed by two hexadecimal digits.
std::optional<std::string> percent_decode(std::string_view text);

using Query = std::vector<std::pair<std::string, std::string>>;

// Nothing when it is malformed or has more than `max_pairs`.
std::optional<Query> parse_query(std::string_view query, size_t max_pairs = 64);

// The first value of that name.
std::optional<std::string_view> query_value(const Query& query, std::string_view name);

} // namespace odoo_bus
