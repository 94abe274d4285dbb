// Text of databases in other encodings than UTF-8, converted by the C library's iconv().
#include "postgres/server_encoding.h"

#include <algorithm>
#include <array>
#include <memory>
#include <utility>

#include <iconv.h>

#include <spdlog/fmt/fmt.h>

#include "base/utf8.h"

namespace odoo_bus {

namespace {

using Names = std::pair<std::string_view, const char*>;

// PostgreSQL's names, and iconv's.
constexpr auto ICONV_NAMES = std::to_array<Names>({
    {"EUC_CN", "EUC-CN"},         {"EUC_JIS_2004", "EUC-JISX0213"},
    {"EUC_JP", "EUC-JP"},         {"EUC_KR", "EUC-KR"},
    {"EUC_TW", "EUC-TW"},         {"ISO_8859_5", "ISO-8859-5"},
    {"ISO_8859_6", "ISO-8859-6"}, {"ISO_8859_7", "ISO-8859-7"},
    {"ISO_8859_8", "ISO-8859-8"}, {"KOI8R", "KOI8-R"},
    {"KOI8U", "KOI8-U"},          {"LATIN1", "ISO-8859-1"},
    {"LATIN2", "ISO-8859-2"},     {"LATIN3", "ISO-8859-3"},
    {"LATIN4", "ISO-8859-4"},     {"LATIN5", "ISO-8859-9"},
    {"LATIN6", "ISO-8859-10"},    {"LATIN7", "ISO-8859-13"},
    {"LATIN8", "ISO-8859-14"},    {"LATIN9", "ISO-8859-15"},
    {"LATIN10", "ISO-8859-16"},   {"WIN1250", "CP1250"},
    {"WIN1251", "CP1251"},        {"WIN1252", "CP1252"},
    {"WIN1253", "CP1253"},        {"WIN1254", "CP1254"},
    {"WIN1255", "CP1255"},        {"WIN1256", "CP1256"},
    {"WIN1257", "CP1257"},        {"WIN1258", "CP1258"},
    {"WIN866", "CP866"},          {"WIN874", "CP874"},
});

constexpr size_t MAX_UTF8_BYTES = 4; // of a character

int nibble(char c) {
    return c >= 'a' ? c - 'a' + 10 : c - '0';
}

std::string bytes_of_hex(std::string_view hex) {
    std::string bytes;
    bytes.reserve(hex.size() / 2);
    for (size_t i = 0; i + 1 < hex.size(); i += 2)
        bytes.push_back(static_cast<char>(nibble(hex[i]) * 16 + nibble(hex[i + 1])));
    return bytes;
}

std::optional<std::string> convert(std::string text, const char* from) {
    const iconv_t opened = iconv_open("UTF-8", from);
    if (opened == reinterpret_cast<iconv_t>(-1))
        return std::nullopt;
    const std::unique_ptr<void, int (*)(iconv_t)> converter(opened, &iconv_close);
    std::string converted(text.size() * MAX_UTF8_BYTES, '\0');
    char* in = text.data();
    char* out = converted.data();
    size_t in_left = text.size(), out_left = converted.size();
    if (iconv(opened, &in, &in_left, &out, &out_left) == static_cast<size_t>(-1))
        return std::nullopt;
    converted.resize(converted.size() - out_left);
    return converted;
}

} // namespace

std::string ServerEncoding::expression(const std::string& column) const {
    return is_utf8() ? column : fmt::format("encode(convert_to({}, '{}'), 'hex')", column, name_);
}

std::optional<std::string> ServerEncoding::decode(std::string_view value) const {
    std::string text = is_utf8() ? std::string(value) : bytes_of_hex(value);
    if (std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x80; }))
        return text;
    if (const auto* const names = std::ranges::find(ICONV_NAMES, std::string_view(name_), &Names::first);
        names != ICONV_NAMES.end())
        return convert(std::move(text), names->second);
    return odoo_bus::is_utf8(text) ? std::optional(std::move(text)) : std::nullopt;
}

} // namespace odoo_bus
