// shared_memory.h: the shared memory of the extension, which exists if it is preloaded.
#pragma once

namespace odoo_bus {

// To be called in _PG_init() when preloading.
void register_shared_memory();

} // namespace odoo_bus
