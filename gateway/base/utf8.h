// Whether a text is well-formed UTF-8.
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

#include "common/ascii_json.h"

namespace odoo_bus {

inline bool is_utf8(std::string_view text) {
    const char* p = text.data();
    const char* const end = p + text.size();
    while (p != end) {
        uint64_t eight;
        while (end - p >= 8) {
            std::memcpy(&eight, p, 8);
            if (eight & 0x8080808080808080u)
                break;
            p += 8;
        }
        if (p == end)
            break;
        uint32_t code_point;
        const size_t length = decode_utf8(p, end, code_point);
        if (length == 0)
            return false;
        p += length;
    }
    return true;
}

} // namespace odoo_bus
