// module.cpp: the shared library's entry point and its settings.
#include "doorbell.h"
#include "doorbell_queue.h"
#include "doorbell_worker.h"
#include "message.h"
#include "retention.h"
#include "sendnow.h"
#include "shared_memory.h"
#include "table.h"

using namespace odoo_bus;

extern "C" {

ODOO_BUS_MODULE_MAGIC;

PGDLLEXPORT void _PG_init();

void _PG_init() {
    DefineCustomIntVariable(
        "odoo_bus.max_payload_size", "Largest payload of one notification, as it is stored.",
        "Send ids and let the client fetch what is large.", &max_payload_size, 1024 * 1024, 1024,
        256 * 1024 * 1024, PGC_SUSET, GUC_UNIT_BYTE, nullptr, nullptr, nullptr);
    DefineCustomBoolVariable("odoo_bus.notify", "Announces what was sent when the transaction commits.",
                             "Off writes the rows alone; for benchmarks.", &notify_enabled, true, PGC_SUSET,
                             GUC_NOT_IN_SAMPLE, nullptr, nullptr, nullptr);
    DefineCustomIntVariable("odoo_bus.doorbell_delay",
                            "How long the doorbell worker gathers before it issues a NOTIFY.",
                            "Longer at need, so that it uses at most 400 transaction ids a second.",
                            &doorbell_delay, 1, 0, 100, PGC_SIGHUP, GUC_UNIT_MS, nullptr, nullptr, nullptr);
    DefineCustomStringVariable("odoo_bus.hub_database",
                               "The database in which the doorbell worker issues its NOTIFY.",
                               "The one in which Odoo servers listen.", &hub_database, "postgres", PGC_SIGHUP,
                               0, nullptr, nullptr, nullptr);
    // Without preloading it has no effect, but must be defined: it may be set in the configuration.
    const bool preloading = process_shared_preload_libraries_in_progress;
    DefineCustomIntVariable(
        "odoo_bus.queue_size", "Shared memory for the channels that wait for the doorbell worker.",
        "A transaction that finds no room issues NOTIFY itself.", &queue_size, 4096, 64, 1024 * 1024,
        preloading ? PGC_POSTMASTER : PGC_SIGHUP, GUC_UNIT_KB, nullptr, nullptr, nullptr);
    DefineCustomIntVariable("odoo_bus.sendnow_lock_timeout", "How long bus_sendnow() waits for a lock.",
                            "It writes in another session, and cannot wait for a lock that its caller holds.",
                            &sendnow_lock_timeout, 1000, 1, 60 * 1000, PGC_USERSET, GUC_UNIT_MS, nullptr,
                            nullptr, nullptr);
    DefineCustomIntVariable("odoo_bus.sendnow_idle_timeout",
                            "How long a background worker of bus_sendnow() waits for the next call.",
                            "Then it leaves the database.", &sendnow_idle_timeout, 10, 1, 3600, PGC_SIGHUP,
                            GUC_UNIT_S, nullptr, nullptr, nullptr);
    DefineCustomIntVariable(
        "odoo_bus.retention", "From which age on rows of bus_bus are deleted, by a background worker.",
        "0 is never; -1 is 24 hours for a table that bus_create_table() has made, and never for Odoo's.",
        &retention, -1, -1, INT_MAX, PGC_USERSET, GUC_UNIT_S, nullptr, nullptr, nullptr);
    DefineCustomBoolVariable("odoo_bus.retention_superuser_tables",
                             "Deletes old rows of tables that superusers own, too.",
                             "Off leaves them alone; give the table to an ordinary role instead.",
                             &retention_superuser_tables, false, PGC_SIGHUP, 0, nullptr, nullptr, nullptr);
    reserve_guc_prefix("odoo_bus");
    register_table_callbacks();
    register_doorbell_callbacks();
    // In the servers that pg_upgrade starts, no session may be connected to databases that it drops.
    if (preloading && !IsBinaryUpgrade) {
        register_shared_memory();
        register_doorbell_worker();
    }
}
}
