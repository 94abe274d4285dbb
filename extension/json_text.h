// json_text.h: text of the server's encoding as UTF-8, and JSON written into a StringInfo.
#pragma once

#include "pg.h"

#include "../common/ascii_json.h"

namespace odoo_bus {

// What ascii_json.h writes into.
struct StringInfoSink {
    StringInfo buffer;
    void append(const char* data, std::size_t length) {
        appendBinaryStringInfo(buffer, data, static_cast<int>(length));
    }
    void push_back(char c) { appendStringInfoChar(buffer, c); }
};

// An error when the text is not valid in the server's encoding or has no place in Unicode.
std::string_view to_utf8(const char* data, std::size_t length);

// write_json_string() for text in the server's encoding, with an error for text that is not valid.
void write_json_text(StringInfoSink& sink, std::string_view server_text);

inline std::string_view text_view(const text* value) {
    return {VARDATA_ANY(value), static_cast<std::size_t>(VARSIZE_ANY_EXHDR(value))};
}

} // namespace odoo_bus
