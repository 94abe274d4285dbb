// One check of doctor.
#pragma once

#include <string>

namespace odoo_bus::doctor {

enum class State { ok, warning, failed };

struct Check {
    std::string name; // "postgresql.sequence": the group and the subject
    State state;
    std::string found; // the state of affairs
    std::string cure;  // what to do; empty if it is ok
};

} // namespace odoo_bus::doctor
