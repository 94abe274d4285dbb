// The encoding of a database, and its text in UTF-8.
//
// The server converts a result as a whole: one character that has no UTF-8 fails all rows of a statement. So
// text of a database in another encoding is fetched as bytes, and converted here, value by value.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace odoo_bus {

class ServerEncoding {
public:
    // `name`: as pg_encoding_to_char() spells it.
    explicit ServerEncoding(std::string name = "UTF8") : name_(std::move(name)) {}

    bool is_utf8() const { return name_ == "UTF8"; }
    // An expression of type text for the column, to be read by decode().
    std::string expression(const std::string& column) const;
    // The text in UTF-8; nothing when it holds what the encoding has no character for. In SQL_ASCII, where
    // bytes have no meaning, it has to be UTF-8.
    std::optional<std::string> decode(std::string_view value) const;

private:
    std::string name_;
};

} // namespace odoo_bus
