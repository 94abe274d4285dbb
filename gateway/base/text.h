// Small functions on text.
#pragma once

#include <string_view>

namespace odoo_bus {

// Without the spaces and tabs around it, which is what HTTP calls optional white space.
inline std::string_view trim(std::string_view text, std::string_view blanks = " \t") {
    const size_t begin = text.find_first_not_of(blanks);
    if (begin == text.npos)
        return {};
    return text.substr(begin, text.find_last_not_of(blanks) - begin + 1);
}

} // namespace odoo_bus
