// doorbell_worker.h: the background worker that issues one NOTIFY for many transactions.
#pragma once

#include "pg.h"

namespace odoo_bus {

extern int doorbell_delay; // odoo_bus.doorbell_delay, in ms
extern char* hub_database; // odoo_bus.hub_database

// To be called in _PG_init() when preloading.
void register_doorbell_worker();

} // namespace odoo_bus
