// doorbell_worker.h: the background worker that issues one NOTIFY for many transactions.
#pragma once

#include "pg.h"

namespace odoo_bus {

extern int doorbell_delay; // odoo_bus.doorbell_delay, in ms
extern char* hub_database; // odoo_bus.hub_database

// In _PG_init() while the server starts.
void register_doorbell_worker();

} // namespace odoo_bus
