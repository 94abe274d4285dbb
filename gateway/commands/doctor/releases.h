// releases.h: fixes that a minor release of PostgreSQL must have.
#pragma once

#include <cstdint>
#include <string>

namespace odoo_bus::doctor {

// The fixes that this server_version_num lacks, with the releases that have them; empty when it has all.
std::string missing_fixes(int64_t version);

} // namespace odoo_bus::doctor
