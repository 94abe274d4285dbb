// What doctor looked at, one thing at a time.
#pragma once

#include <string>

namespace odoo_bus::doctor {

enum class State { ok, warning, failed };

struct Check {
    std::string name; // "postgresql.sequence": the group, and what was looked at
    State state;
    std::string found; // what there is
    std::string cure;  // what to do; empty when all is well
};

} // namespace odoo_bus::doctor
