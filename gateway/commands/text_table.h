// A table in plain text: columns as wide as what is in them, of which the last ones are left out where they
// do not fit.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace odoo_bus {

// The beginning of UTF-8 that has so many characters at most.
std::string_view cut(std::string_view text, size_t characters);

class TextTable {
public:
    enum class Align { left, right };
    struct Column {
        std::string title;
        Align align = Align::left;
    };

    // The most important columns first.
    explicit TextTable(std::vector<Column> columns) : columns_(std::move(columns)) {}

    // A text for each column. They may hold any bytes: what is printed is printable.
    void add(std::vector<std::string> row);
    size_t rows() const { return rows_.size(); }
    // The titles, and `rows` rows at most, each no longer than `width`.
    std::vector<std::string> lines(size_t rows, size_t width) const;

private:
    std::vector<Column> columns_;
    std::vector<std::vector<std::string>> rows_;
};

} // namespace odoo_bus
