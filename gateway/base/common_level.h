// Amounts that are lowered to one level.
#pragma once

#include <cstdint>
#include <vector>

namespace odoo_bus {

// The level to which the greatest of the amounts have to be lowered so that all together are this much less;
// 0 if they are not more. UINT64_MAX if nothing has to be lowered.
uint64_t common_level(std::vector<uint64_t> amounts, uint64_t less);

} // namespace odoo_bus
