// PostgreSQL's text form of arrays, for parameters.
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace odoo_bus {

inline std::string pg_array(std::span<const int64_t> numbers) {
    std::string array = "{";
    for (const int64_t number : numbers) {
        if (array.size() > 1)
            array += ',';
        array += std::to_string(number);
    }
    return array + '}';
}

inline std::string pg_array(std::span<const std::string> texts) {
    std::string array = "{";
    for (const std::string& text : texts) {
        array += array.size() > 1 ? ",\"" : "\"";
        for (const char c : text) {
            if (c == '"' || c == '\\')
                array += '\\';
            array += c;
        }
        array += '"';
    }
    return array + '}';
}

} // namespace odoo_bus
