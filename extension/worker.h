// worker.h: the common part of the background workers.
#pragma once

#include "doorbell_queue.h"
#include "pg.h"

namespace odoo_bus {

// To be called after a SIGHUP.
void reload_configuration();

// Whether a worker can connect to this database as the role.
bool worker_may_connect(Oid role);

// Sets what no setting of the database or of the role may change from now on.
void pin_setting(const char* name, const char* value);
// Those by which the owner of a database, or a role, could make a worker look up names elsewhere, wait or
// end. To be called when it has connected.
void pin_settings();
// Those of them that say how a transaction begins and how long it may last.
void pin_transaction_settings();

// Whether this worker's database is being dropped, renamed or copied, which waits for all sessions to
// disconnect. Checks at most once a second.
bool database_is_wanted();

// Runs `work`. An error is logged and shown in bus_stat, and its transaction rolled back; then returns false.
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

// The arguments of a worker, which gets them by own_errand().
struct Errand {
    Oid database, role; // to connect to, and as
    Oid schema;
    uint32 place; // in shared memory
    uint64 life;
};

// Returns false if no background worker is free. `name` is shown in pg_stat_activity.
bool start_worker(const char* name, const char* main_function, const Errand& errand);
Errand own_errand();

// Connects to the errand's database as its role; ends the process if that fails.
void connect_worker(const Errand& errand);

} // namespace odoo_bus
