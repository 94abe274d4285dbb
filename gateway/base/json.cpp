// A guard before jansson, and what jansson is too strict for.
#include "base/json.h"

#include <algorithm>
#include <charconv>
#include <string>

namespace odoo_bus {

namespace {

// The surrogate of the escape at the begin of the text; 0 when there is none.
unsigned surrogate_at(std::string_view text) {
    if (text.size() < 6 || !text.starts_with("\\u"))
        return 0;
    unsigned code = 0;
    const auto [end, error] = std::from_chars(text.data() + 2, text.data() + 6, code, 16);
    return error == std::errc() && end == text.data() + 6 && code >= 0xd800 && code < 0xe000 ? code : 0;
}

// What jansson refuses: found before it parses, so that nothing is parsed twice.
struct Oddities {
    bool has_lone_surrogate = false;
    bool has_large_integer = false;
};

// An integer of more than 64 bits.
bool is_large(std::string_view digits, bool is_negative) {
    constexpr std::string_view GREATEST = "9223372036854775807", LEAST = "9223372036854775808";
    return digits.size() > GREATEST.size() ||
           (digits.size() == GREATEST.size() && digits > (is_negative ? LEAST : GREATEST));
}

// Of a text from its opening quote on; returns where its closing one is.
size_t skip_text(std::string_view json, size_t i, Oddities& odd) {
    for (++i; i < json.size() && json[i] != '"'; ++i) {
        if (json[i] != '\\')
            continue;
        if (const unsigned first = surrogate_at(json.substr(i))) {
            const unsigned second = surrogate_at(json.substr(i + 6));
            if (first < 0xdc00 && second >= 0xdc00)
                i += 6;
            else
                odd.has_lone_surrogate = true;
            i += 5;
        } else {
            ++i;
        }
    }
    return i;
}

Oddities oddities_of(std::string_view json) {
    Oddities odd;
    for (size_t i = 0; i < json.size(); ++i) {
        if (json[i] == '"') {
            i = skip_text(json, i, odd);
        } else if (json[i] >= '0' && json[i] <= '9') {
            const size_t begin = i, end = json.find_first_not_of("0123456789", i);
            const size_t length = (end == json.npos ? json.size() : end) - begin;
            const bool is_integer =
                end == json.npos || !(json[end] == '.' || json[end] == 'e' || json[end] == 'E');
            const bool is_negative = begin > 0 && json[begin - 1] == '-';
            odd.has_large_integer |= is_integer && is_large(json.substr(begin, length), is_negative);
            i = begin + length - 1;
            if (!is_integer) // its fraction or exponent is no integer
                i = std::min(json.find_first_not_of("0123456789+-.eE", i), json.size()) - 1;
        }
    }
    return odd;
}

std::string without_surrogates(std::string_view json) {
    std::string text(json);
    for (size_t i = 0; i + 1 < text.size(); ++i) {
        if (text[i] != '\\')
            continue;
        if (surrogate_at(std::string_view(text).substr(i)))
            text[i + 3] = '0';
        ++i;
    }
    return text;
}

Json load(std::string_view text, const Oddities& odd, size_t flags, json_error_t* error) {
    return Json(json_loadb(text.data(), text.size(),
                           flags | (odd.has_large_integer ? JSON_DECODE_INT_AS_REAL : 0), error));
}

} // namespace

Json parse_lenient(std::string_view text, json_error_t* error) {
    const Oddities odd = oddities_of(text);
    return odd.has_lone_surrogate ? load(without_surrogates(text), odd, JSON_ALLOW_NUL, error)
                                  : load(text, odd, JSON_ALLOW_NUL, error);
}

Json parse_strict(std::string_view text) {
    return load(text, oddities_of(text), 0, nullptr);
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
