// ascii_json.h: JSON strings and channels as Python's json.dumps(v, separators=(',', ':')) prints them.
//
// Odoo finds rows by comparing channels as text, so a channel must be equal byte for byte: ASCII only, every
// other character as \uXXXX with lower-case hex, surrogate pairs above U+FFFF, DEL escaped, "/" not. The
// extension and the gateway both include this one encoder. It needs nothing from PostgreSQL, throws nothing,
// allocates nothing.
//
// A Sink has append(const char*, std::size_t) and push_back(char), as std::string does.
#pragma once

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace odoo_bus {

// The length of the well-formed UTF-8 character at the start of [p, end) and its code point; 0 when there is
// none (cut short, overlong, a surrogate, above U+10FFFF).
inline std::size_t decode_utf8(const char* p, const char* end, std::uint32_t& code_point) {
    const auto byte = [p](int i) { return static_cast<unsigned char>(p[i]); };
    const auto continues = [&byte](int i) { return (byte(i) & 0xc0) == 0x80; };
    const std::ptrdiff_t left = end - p;
    if (left < 1)
        return 0;
    const std::uint32_t lead = byte(0);
    if (lead < 0x80) {
        code_point = lead;
        return 1;
    }
    if (lead >= 0xc2 && lead < 0xe0 && left >= 2 && continues(1)) {
        code_point = (lead & 0x1f) << 6 | (byte(1) & 0x3f);
        return 2;
    }
    if (lead >= 0xe0 && lead < 0xf0 && left >= 3 && continues(1) && continues(2)) {
        code_point = (lead & 0x0f) << 12 | (byte(1) & 0x3f) << 6 | (byte(2) & 0x3f);
        const bool overlong = code_point < 0x800;
        const bool surrogate = code_point >= 0xd800 && code_point < 0xe000;
        return overlong || surrogate ? 0 : 3;
    }
    if (lead >= 0xf0 && lead < 0xf5 && left >= 4 && continues(1) && continues(2) && continues(3)) {
        code_point = (lead & 0x07) << 18 | (byte(1) & 0x3f) << 12 | (byte(2) & 0x3f) << 6 | (byte(3) & 0x3f);
        return code_point < 0x10000 || code_point > 0x10ffff ? 0 : 4;
    }
    return 0;
}

template <class Sink>
void write_json_escape(Sink& sink, std::uint32_t utf16_unit) {
    constexpr char digits[] = "0123456789abcdef";
    const char escape[] = {'\\',
                           'u',
                           digits[utf16_unit >> 12 & 15],
                           digits[utf16_unit >> 8 & 15],
                           digits[utf16_unit >> 4 & 15],
                           digits[utf16_unit & 15]};
    sink.append(escape, sizeof escape);
}

// False when the text is not UTF-8; the sink then holds a part of it.
template <class Sink>
[[nodiscard]] bool write_json_string(Sink& sink, std::string_view utf8) {
    sink.push_back('"');
    const char* p = utf8.data();
    const char* const end = p + utf8.size();
    while (p != end) {
        const char* const plain = p;
        while (p != end && *p >= ' ' && *p <= '~' && *p != '"' && *p != '\\')
            ++p;
        if (p != plain)
            sink.append(plain, static_cast<std::size_t>(p - plain));
        if (p == end)
            break;
        std::uint32_t code_point;
        const std::size_t length = decode_utf8(p, end, code_point);
        if (length == 0)
            return false;
        p += length;
        switch (code_point) {
        case '"':
            sink.append("\\\"", 2);
            break;
        case '\\':
            sink.append("\\\\", 2);
            break;
        case '\n':
            sink.append("\\n", 2);
            break;
        case '\r':
            sink.append("\\r", 2);
            break;
        case '\t':
            sink.append("\\t", 2);
            break;
        case '\b':
            sink.append("\\b", 2);
            break;
        case '\f':
            sink.append("\\f", 2);
            break;
        default:
            if (code_point < 0x10000) {
                write_json_escape(sink, code_point);
            } else {
                write_json_escape(sink, 0xd800 + ((code_point - 0x10000) >> 10));
                write_json_escape(sink, 0xdc00 + ((code_point - 0x10000) & 0x3ff));
            }
        }
    }
    sink.push_back('"');
    return true;
}

template <class Sink>
void write_json_integer(Sink& sink, std::int64_t value) {
    char digits[20];
    const auto result = std::to_chars(digits, digits + sizeof digits, value);
    sink.append(digits, static_cast<std::size_t>(result.ptr - digits));
}

// ["db","name"], ["db","res.partner",3] or ["db","res.partner",3,"presence"]; false when a text is not UTF-8.
template <class Sink>
[[nodiscard]] bool write_channel(Sink& sink, std::string_view database, std::string_view name_or_model,
                                 std::optional<std::int64_t> res_id = {},
                                 std::optional<std::string_view> subchannel = {}) {
    sink.push_back('[');
    if (!write_json_string(sink, database))
        return false;
    sink.push_back(',');
    if (!write_json_string(sink, name_or_model))
        return false;
    if (res_id) {
        sink.push_back(',');
        write_json_integer(sink, *res_id);
    }
    if (subchannel) {
        sink.push_back(',');
        if (!write_json_string(sink, *subchannel))
            return false;
    }
    sink.push_back(']');
    return true;
}

} // namespace odoo_bus
