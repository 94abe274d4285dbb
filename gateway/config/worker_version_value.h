// The version of Odoo's worker script, as pages send it and --worker-version names it: "19.0-2".
#pragma once

#include <algorithm>
#include <cstddef>
#include <string_view>

namespace odoo_bus {

inline constexpr size_t MAX_WORKER_VERSION_BYTES = 32;

inline bool is_worker_version(std::string_view text) {
    return !text.empty() && text.size() <= MAX_WORKER_VERSION_BYTES && std::ranges::all_of(text, [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' ||
               c == '-' || c == '~' || c == '+' || c == '_';
    });
}

} // namespace odoo_bus
