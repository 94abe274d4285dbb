// Parts of a JSON text as they stand in it.
#include "base/json_slice.h"

namespace odoo_bus {

namespace {

constexpr std::string_view SPACES = " \t\r\n";

void skip_spaces(std::string_view text, size_t& at) {
    while (at < text.size() && SPACES.find(text[at]) != SPACES.npos)
        ++at;
}

void skip_string(std::string_view text, size_t& at) {
    for (++at; at < text.size() && text[at] != '"'; ++at)
        if (text[at] == '\\')
            ++at;
    ++at;
}

// The value that begins at `at`, which moves behind it.
std::string_view take_value(std::string_view text, size_t& at) {
    const size_t begin = at;
    size_t depth = 0;
    while (at < text.size()) {
        const char c = text[at];
        if (c == '"') {
            skip_string(text, at);
        } else if (c == '[' || c == '{') {
            ++depth;
            ++at;
        } else if (c == ']' || c == '}') {
            if (depth == 0)
                break; // the end of what holds a number or a word
            --depth;
            ++at;
        } else if (depth == 0 && (c == ',' || SPACES.find(c) != SPACES.npos)) {
            break;
        } else {
            ++at;
            continue; // within a number or a word, or between the parts of what is nested
        }
        if (depth == 0)
            break;
    }
    return text.substr(begin, at - begin);
}

// Calls `visit` at the begin of each part of an array or object; it must move behind the part.
template <class Visit>
void for_each_part(std::string_view text, char open, char close, Visit visit) {
    size_t at = 0;
    skip_spaces(text, at);
    if (at >= text.size() || text[at] != open)
        return;
    ++at;
    while (true) {
        skip_spaces(text, at);
        if (at >= text.size() || text[at] == close)
            return;
        visit(at);
        skip_spaces(text, at);
        if (at < text.size() && text[at] == ',')
            ++at;
    }
}

} // namespace

std::vector<std::string_view> json_elements(std::string_view array) {
    std::vector<std::string_view> elements;
    for_each_part(array, '[', ']', [&](size_t& at) { elements.push_back(take_value(array, at)); });
    return elements;
}

std::optional<std::string_view> json_member(std::string_view object, std::string_view name) {
    std::optional<std::string_view> found;
    for_each_part(object, '{', '}', [&](size_t& at) {
        const std::string_view key = take_value(object, at);
        skip_spaces(object, at);
        ++at; // the colon
        skip_spaces(object, at);
        const std::string_view value = take_value(object, at);
        if (key.size() >= 2 && key.substr(1, key.size() - 2) == name)
            found = value;
    });
    return found;
}

} // namespace odoo_bus
