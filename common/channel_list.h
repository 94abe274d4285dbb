// channel_list.h: the channels in the payload of a NOTIFY imbus, as Odoo writes it:
// [["mydb","broadcast"],["mydb","res.partner",3]], an array of arrays of strings and integers, without
// spaces.
//
// It needs nothing from PostgreSQL, throws nothing, allocates nothing.
#pragma once

#include <cstddef>
#include <string_view>

namespace odoo_bus {

namespace channel_list {

// What follows after so many bytes, of which there are as many; substr() could throw.
inline std::string_view after(std::string_view text, std::size_t length) {
    text.remove_prefix(length);
    return text;
}

inline bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

// The value of a hexadecimal digit; 16 of anything else.
inline unsigned hex_value(char c) {
    if (is_digit(c))
        return static_cast<unsigned>(c - '0');
    const char lower = static_cast<char>(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? static_cast<unsigned>(lower - 'a') + 10 : 16;
}

// Of \uXXXX, the UTF-16 unit; 0, which is none that may be escaped, of anything else.
inline unsigned escaped_unit(std::string_view text) {
    if (text.size() < 6 || !text.starts_with("\\u"))
        return 0;
    unsigned unit = 0;
    for (const char c : std::string_view(text.data() + 2, 4)) {
        if (hex_value(c) == 16)
            return 0;
        unit = unit << 4 | hex_value(c);
    }
    return unit;
}

// These return the length of what stands at the start of the text; 0 when it is something else.

// U+0000 and single surrogates are refused: not every parser takes them.
inline std::size_t escape_length(std::string_view text) {
    if (text.size() >= 2 && text[1] != 'u')
        return std::string_view(R"("\/bfnrt)").find(text[1]) == std::string_view::npos ? 0 : 2;
    const unsigned unit = escaped_unit(text);
    if (unit < 0xd800 || unit > 0xdfff)
        return unit == 0 ? 0 : 6;
    const unsigned low = unit < 0xdc00 ? escaped_unit(after(text, 6)) : 0;
    return low >= 0xdc00 && low <= 0xdfff ? 12 : 0;
}

inline std::size_t string_length(std::string_view text) {
    if (!text.starts_with('"'))
        return 0;
    for (std::size_t at = 1; at < text.size();) {
        if (text[at] == '"')
            return at + 1;
        if (text[at] < ' ' || text[at] > '~')
            return 0;
        const std::size_t length = text[at] == '\\' ? escape_length(after(text, at)) : 1;
        if (length == 0)
            return 0;
        at += length;
    }
    return 0;
}

// Of an integer that fits into 64 bits.
inline std::size_t integer_length(std::string_view text) {
    constexpr std::size_t most_digits = 18;
    const std::size_t first = text.starts_with('-') ? 1 : 0;
    std::size_t end = first;
    while (end < text.size() && is_digit(text[end]))
        ++end;
    const std::size_t digits = end - first;
    return digits == 0 || digits > most_digits || (digits > 1 && text[first] == '0') ? 0 : end;
}

// Of an array, whose elements are measured by `element_length`; there is at least one.
template <class ElementLength>
std::size_t array_length(std::string_view text, ElementLength element_length) {
    if (!text.starts_with('['))
        return 0;
    std::size_t at = 0;
    do {
        const std::size_t length = element_length(after(text, ++at));
        if (length == 0)
            return 0;
        at += length;
    } while (at < text.size() && text[at] == ',');
    return at < text.size() && text[at] == ']' ? at + 1 : 0;
}

// The name of the database comes first.
inline std::size_t channel_length(std::string_view text) {
    bool is_first = true;
    return array_length(text, [&is_first](std::string_view rest) {
        const std::size_t length = string_length(rest);
        const bool may_be_integer = !is_first;
        is_first = false;
        return length == 0 && may_be_integer ? integer_length(rest) : length;
    });
}

} // namespace channel_list

// Calls `each` with every channel as it is written. Returns false, and calls nothing, when the payload is not
// such a list.
template <class Each>
bool for_each_channel(std::string_view payload, Each each) {
    if (channel_list::array_length(payload, channel_list::channel_length) != payload.size() ||
        payload.empty())
        return false;
    channel_list::array_length(payload, [&each](std::string_view rest) {
        const std::size_t length = channel_list::channel_length(rest);
        each(std::string_view(rest.data(), length));
        return length;
    });
    return true;
}

} // namespace odoo_bus
