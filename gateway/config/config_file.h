// The configuration file: lines of `name = value`, empty lines, and comments that begin with "#".
//
// A value reaches to the end of its line and is taken as it stands: no quotes, no escapes, and "#" is part of
// it, since passwords hold all of these.
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

// False and a sentence in `error` when the file cannot be read or a line is none of these.
bool read_config_file(const std::string& path, std::vector<ConfigLine>& lines, std::string& error);

} // namespace odoo_bus
