// A guard before jansson, and what jansson is too strict for.
#include "base/json.h"

#include <algorithm>
#include <string>

namespace odoo_bus {

namespace {

bool is_surrogate_escape(std::string_view text) {
    return text.size() >= 6 && text.starts_with("\\u") && (text[2] == 'd' || text[2] == 'D') &&
           ((text[3] >= '8' && text[3] <= '9') || (text[3] >= 'a' && text[3] <= 'f') ||
            (text[3] >= 'A' && text[3] <= 'F'));
}

std::string without_surrogates(std::string_view json) {
    std::string text(json);
    for (size_t i = 0; i + 1 < text.size(); ++i) {
        if (text[i] != '\\')
            continue;
        if (is_surrogate_escape(std::string_view(text).substr(i)))
            text[i + 3] = '0';
        ++i;
    }
    return text;
}

Json parse(std::string_view text, json_error_t* error) {
    Json value(json_loadb(text.data(), text.size(), JSON_ALLOW_NUL, error));
    if (!value && json_error_code(error) == json_error_numeric_overflow)
        value.reset(json_loadb(text.data(), text.size(), JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, error));
    return value;
}

} // namespace

Json parse_lenient(std::string_view text, json_error_t* error) {
    json_error_t unasked;
    if (!error)
        error = &unasked;
    Json value = parse(text, error);
    if (!value && text.find("\\u") != text.npos)
        value = parse(without_surrogates(text), error);
    return value;
}

JsonExtent json_extent(std::string_view text) {
    JsonExtent extent{0, 1};
    size_t depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (in_string) {
            if (c == '\\')
                ++i;
            else if (c == '"')
                in_string = false;
            continue;
        }
        switch (c) {
        case '"':
            in_string = true;
            break;
        case '[':
        case '{':
            extent.depth = std::max(extent.depth, ++depth);
            ++extent.values;
            break;
        case ']':
        case '}':
            if (depth > 0)
                --depth;
            break;
        case ',':
            ++extent.values;
            break;
        }
    }
    return extent;
}

} // namespace odoo_bus
