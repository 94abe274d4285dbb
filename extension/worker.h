// worker.h: what the background workers have in common.
#pragma once

#include "pg.h"

namespace odoo_bus {

// After a SIGHUP.
void reload_configuration();

// Whether somebody waits for everybody to leave the database that this worker is connected to. Looks at most
// once a second.
bool database_is_wanted();

// What a worker is started for; it finds it again with own_errand().
struct Errand {
    Oid database, role; // as which it connects
    Oid schema;
    uint32 place; // in shared memory
    uint64 life;
};

// False when no background worker is free. `name` shows in pg_stat_activity.
bool start_worker(const char* name, const char* main_function, const Errand& errand);
Errand own_errand();

// As the errand says; ends the process when that is not possible.
void connect_worker(const Errand& errand);

} // namespace odoo_bus
