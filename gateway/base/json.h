// jansson with owners, and a guard before it: how much memory a text may ask for.
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>

#include <jansson.h>

namespace odoo_bus {

struct JsonRelease {
    void operator()(json_t* value) const { json_decref(value); }
};
using Json = std::unique_ptr<json_t, JsonRelease>;

// An upper bound of the depth and the number of values that parsing `text` can meet, whether it is JSON or
// not. A parsed value takes some 30 times its text, so this is asked before anything is parsed.
struct JsonExtent {
    size_t depth = 0;
    size_t values = 0;
};
JsonExtent json_extent(std::string_view text);

// What other parsers read and jansson does not: integers of any size (as reals), NUL in strings, and half a
// surrogate pair, which Python writes and JavaScript reads (as another character). Nothing, and why in
// `error`, when it is not JSON. `repaired`: whether it held any of the first and last.
Json parse_lenient(std::string_view text, json_error_t* error = nullptr, bool* repaired = nullptr);
// Of these only the integers.
Json parse_strict(std::string_view text);
// Whether the two parsers read some of it as another value than is written: a large integer, half a pair.
bool needs_repair(std::string_view json);

} // namespace odoo_bus
