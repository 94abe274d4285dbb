// worker.h: what the background workers have in common.
#pragma once

#include "doorbell_queue.h"
#include "pg.h"

namespace odoo_bus {

// After a SIGHUP.
void reload_configuration();

// Whether somebody waits for everybody to leave the database that this worker is connected to. Looks at most
// once a second.
bool database_is_wanted();

// Runs `work`, which may raise an error: that is logged, its transaction rolled back, and bus_stat shows it.
// False then.
template <class Work>
bool try_work(const Work& work) {
    const MemoryContext context = CurrentMemoryContext;
    volatile bool succeeded = true;
    PG_TRY();
    { work(); }
    PG_CATCH();
    {
        MemoryContextSwitchTo(context);
        const ErrorData* error = CopyErrorData();
        record_worker_error(error->message ? error->message : "?");
        EmitErrorReport();
        AbortCurrentTransaction();
        FlushErrorState();
        succeeded = false;
    }
    PG_END_TRY();
    MemoryContextSwitchTo(context);
    return succeeded;
}

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
