// json_text.h: conversion of text from the server's encoding to UTF-8, and JSON in a StringInfo.
#pragma once

#include "pg.h"

#include "../common/ascii_json.h"

namespace odoo_bus {

// The output of ascii_json.h.
struct StringInfoSink {
    StringInfo buffer;
    void append(const char* data, std::size_t length) {
        appendBinaryStringInfo(buffer, data, static_cast<int>(length));
    }
    void push_back(char c) { appendStringInfoChar(buffer, c); }
};

// Raises an error if the text is not valid in the server's encoding or cannot be converted.
std::string_view to_utf8(const char* data, std::size_t length);

// write_json_string() for text in the server's encoding; raises an error if it is not valid.
void write_json_text(StringInfoSink& sink, std::string_view server_text);

inline std::string_view text_view(const text* value) {
    return {VARDATA_ANY(value), static_cast<std::size_t>(VARSIZE_ANY_EXHDR(value))};
}

} // namespace odoo_bus
