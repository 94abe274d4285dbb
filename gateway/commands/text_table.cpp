// A table in plain text.
#include "commands/text_table.h"

#include <algorithm>

#include "base/log.h"

namespace odoo_bus {

namespace {

constexpr size_t GAP = 2;

bool begins_character(char c) {
    return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
}

size_t characters_of(std::string_view text) {
    return static_cast<size_t>(std::ranges::count_if(text, begins_character));
}

} // namespace

std::string_view cut(std::string_view text, size_t characters) {
    size_t i = 0;
    for (; i < text.size(); ++i)
        if (begins_character(text[i]) && characters-- == 0)
            break;
    return text.substr(0, i);
}

void TextTable::add(std::vector<std::string> row) {
    for (std::string& each : row)
        each = log::printable(each);
    rows_.push_back(std::move(row));
}

std::vector<std::string> TextTable::lines(size_t most_rows, size_t width) const {
    std::vector<std::vector<std::string>> all(1);
    for (const Column& column : columns_)
        all[0].push_back(column.title);
    all.insert(all.end(), rows_.begin(),
               rows_.begin() + static_cast<std::ptrdiff_t>(std::min(rows_.size(), most_rows)));
    std::vector<std::string> lines(all.size());
    size_t used = 0;
    for (size_t i = 0; i < columns_.size(); ++i) {
        size_t widest = 0;
        for (const auto& row : all)
            widest = std::max(widest, characters_of(row[i]));
        if (i > 0 && used + GAP + widest > width)
            break;
        used += (i > 0 ? GAP : 0) + widest;
        for (size_t line = 0; line < all.size(); ++line) {
            const std::string padding(widest - characters_of(all[line][i]), ' ');
            lines[line] += std::string(i > 0 ? GAP : 0, ' ');
            lines[line] +=
                columns_[i].align == Align::right ? padding + all[line][i] : all[line][i] + padding;
        }
    }
    for (std::string& line : lines) {
        line = cut(line, width);
        line.erase(line.find_last_not_of(' ') + 1);
    }
    return lines;
}

} // namespace odoo_bus
