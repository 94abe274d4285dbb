// shared_memory.h: everything that processes share, where the extension is preloaded.
#pragma once

namespace odoo_bus {

// In _PG_init() while the server starts.
void register_shared_memory();

} // namespace odoo_bus
