// The name of this gateway among others that serve the same databases: kept in the state directory, if there
// is one.
#pragma once

#include <string>

namespace odoo_bus {

// 32 hexadecimal digits. `inherited`: that a former process of this gateway had, or nothing. Without a state
// directory, or when it cannot be written, another one at each start.
std::string gateway_id(const std::string& state_dir, const std::string& inherited = {});

} // namespace odoo_bus
