// The configuration file: lines of `name = value`, empty lines, and comments that begin with "#".
//
// A value extends to the end of its line and is taken literally: no quotes, no escapes, and "#" is part of
// it, since passwords may contain all of these.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace odoo_bus {

struct ConfigLine {
    std::string name;
    std::string value;
    unsigned line; // counted from 1
};

// False, and a sentence in `error`, if the file cannot be read or has any other line.
bool read_config_file(const std::string& path, std::vector<ConfigLine>& lines, std::string& error);

} // namespace odoo_bus
