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

// An integer of more than 64 bits.
bool is_large(std::string_view digits, bool is_negative) {
    constexpr std::string_view GREATEST = "9223372036854775807", LEAST = "9223372036854775808";
    return digits.size() > GREATEST.size() ||
           (digits.size() == GREATEST.size() && digits > (is_negative ? LEAST : GREATEST));
}

// Of a text from its opening quote on; returns where its closing one is.
template <class OnSurrogate>
size_t skip_text(std::string_view json, size_t i, OnSurrogate&& on_surrogate) {
    for (++i; i < json.size() && json[i] != '"'; ++i) {
        if (json[i] != '\\')
            continue;
        if (const unsigned first = surrogate_at(json.substr(i))) {
            const unsigned second = surrogate_at(json.substr(i + 6));
            if (first < 0xdc00 && second >= 0xdc00)
                i += 6;
            else
                on_surrogate(i);
            i += 5;
        } else {
            ++i;
        }
    }
    return i;
}

// What jansson refuses, found without parsing: `on_surrogate` gets where the escape of half a pair begins,
// `on_large` where a large integer ends.
template <class OnSurrogate, class OnLarge>
void find_oddities(std::string_view json, OnSurrogate&& on_surrogate, OnLarge&& on_large) {
    for (size_t i = 0; i < json.size(); ++i) {
        if (json[i] == '"') {
            i = skip_text(json, i, on_surrogate);
        } else if (json[i] >= '0' && json[i] <= '9') {
            const size_t begin = i, end = std::min(json.find_first_not_of("0123456789", i), json.size());
            const bool is_integer =
                end == json.size() || !(json[end] == '.' || json[end] == 'e' || json[end] == 'E');
            const bool is_negative = begin > 0 && json[begin - 1] == '-';
            if (is_integer && is_large(json.substr(begin, end - begin), is_negative))
                on_large(end);
            i = end - 1;
            if (!is_integer) // its fraction or exponent is no integer
                i = std::min(json.find_first_not_of("0123456789+-.eE", i), json.size()) - 1;
        }
    }
}

struct Oddities {
    bool has_lone_surrogate = false;
    bool has_large_integer = false;
};

Oddities oddities_of(std::string_view json) {
    Oddities odd;
    find_oddities(
        json, [&](size_t) { odd.has_lone_surrogate = true; }, [&](size_t) { odd.has_large_integer = true; });
    return odd;
}

Json load(std::string_view text, json_error_t* error, size_t flags) {
    return Json(json_loadb(text.data(), text.size(), flags, error));
}

// Half a pair becomes another character, a large integer a real.
std::string repaired_text(std::string_view json) {
    std::string text;
    text.reserve(json.size() + 64);
    size_t copied = 0;
    const auto copy_up_to = [&](size_t end) {
        text += json.substr(copied, end - copied);
        copied = end;
    };
    find_oddities(
        json,
        [&](size_t begin) {
            copy_up_to(begin + 3);
            text += '0';
            ++copied;
        },
        [&](size_t end) {
            copy_up_to(end);
            text += "e0";
        });
    copy_up_to(json.size());
    return text;
}

} // namespace

bool needs_repair(std::string_view json) {
    const Oddities odd = oddities_of(json);
    return odd.has_lone_surrogate || odd.has_large_integer;
}

Json parse_lenient(std::string_view text, json_error_t* error, bool* repaired) {
    const bool repairs = needs_repair(text);
    if (repaired)
        *repaired = repairs;
    return load(repairs ? repaired_text(text) : text, error, JSON_ALLOW_NUL);
}

Json parse_strict(std::string_view text) {
    const Oddities odd = oddities_of(text);
    if (odd.has_lone_surrogate)
        return nullptr;
    return load(odd.has_large_integer ? repaired_text(text) : text, nullptr, 0);
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
