// A statement that is prepared once for each connection.
#pragma once

#include <string>

namespace odoo_bus {

struct Statement {
    std::string name;
    std::string sql;
};

} // namespace odoo_bus
