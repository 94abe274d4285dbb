// The id of a notification.
#pragma once

#include <cstdint>

namespace odoo_bus {

using Id = int64_t; // bus_bus.id; never negative

} // namespace odoo_bus
