// odoo-bus-gateway doctor: looks at everything that a working set-up needs, and says what is wrong.
#pragma once

#include <string>
#include <vector>

namespace odoo_bus {

// The exit code: 0 all is well, 1 warnings, 2 something failed.
int run_doctor(const std::vector<std::string>& arguments);

} // namespace odoo_bus
