// json_text.cpp: conversion of text from the server's encoding to UTF-8, and JSON in a StringInfo.
#include "json_text.h"

namespace odoo_bus {

std::string_view to_utf8(const char* data, std::size_t length) {
    if (length == 0)
        return {};
    // In an SQL_ASCII database this verifies that the bytes are UTF-8; otherwise it converts.
    const char* utf8 = pg_server_to_any(data, static_cast<int>(length), PG_UTF8);
    return {utf8, utf8 == data ? length : strlen(utf8)};
}

void write_json_text(StringInfoSink& sink, std::string_view server_text) {
    const std::string_view utf8 = to_utf8(server_text.data(), server_text.size());
    if (!write_json_string(sink, utf8))
        report_invalid_encoding(PG_UTF8, utf8.data(), static_cast<int>(utf8.size()));
}

} // namespace odoo_bus
