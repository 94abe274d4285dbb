// retention_worker.cpp: the background worker that deletes old rows of one database, as the owner of the
// table.
//
// It deletes by ascending id, in small transactions with pauses as long as they took. Its locks do not
// conflict with senders, and autovacuum keeps up.
#include "doorbell_queue.h"
#include "retention.h"
#include "retention_table.h"
#include "worker.h"

namespace odoo_bus {

namespace {

constexpr uint64 batch_rows = 5000;
constexpr int64 longest_interval_us = 60 * USECS_PER_SEC, shortest_interval_us = USECS_PER_SEC;
constexpr int64 after_error_us = 60 * USECS_PER_SEC;

// The batches from the lowest id to the last that has old rows.
struct Run {
    uint64 deleted = 0; // by the last batch
    bool is_complete = false;
    int64 last_id = PG_INT64_MIN;
    int64 keep_us = 0;
    std::optional<Timestamp> oldest_left;
};

// The time at which the oldest row is due, but late enough to delete more than a few rows in a run. 0 if
// there is none.
TimestampTz next_run(const Run& run) {
    if (!run.oldest_left)
        return 0;
    const TimestampTz now = GetCurrentTimestamp();
    const int64 interval = std::clamp(run.keep_us / 10, shortest_interval_us, longest_interval_us);
    if (TIMESTAMP_NOT_FINITE(*run.oldest_left) || *run.oldest_left > now)
        return now + run.keep_us;
    return std::max(*run.oldest_left + run.keep_us, now + interval);
}

void delete_batch(Relation table, Run& run) {
    run.keep_us = table_retention(RelationGetRelid(table)) * USECS_PER_SEC;
    if (run.keep_us == 0)
        return;
    const RetentionBatch batch =
        delete_old_rows(table, run.last_id, batch_rows, GetCurrentTimestamp() - run.keep_us);
    run.deleted = batch.deleted;
    run.last_id = batch.last_id;
    if (!run.oldest_left)
        run.oldest_left = batch.oldest_left;
    // Rows of long transactions are older than some with lower ids, so a few young rows do not end the run.
    run.is_complete = batch.read < batch_rows || (batch.deleted == 0 && batch.young > 0);
}

// Runs in a transaction. The table is looked up once and locked; a table with another owner by now, or with
// an obstacle, is not touched.
void try_batch(const Errand& errand, Run& run) {
    run.is_complete = true;
    const char* schema_name = get_namespace_name(errand.schema);
    if (!schema_name)
        return;
    const Oid relid =
        RangeVarGetRelid(makeRangeVar(pstrdup(schema_name), pstrdup("bus_bus"), -1), RowExclusiveLock, true);
    if (!OidIsValid(relid))
        return;
    Relation table = relation_open(relid, NoLock);
    if (RelationGetNamespace(table) == errand.schema && table->rd_rel->relowner == errand.role &&
        !retention_obstacle(table)) {
        PushActiveSnapshot(GetTransactionSnapshot());
        delete_batch(table, run);
        PopActiveSnapshot();
    }
    relation_close(table, NoLock);
}

// Nothing that a role has defined is evaluated here. The rules of a security-restricted operation hold in
// case that something is, as where PostgreSQL itself maintains a table.
void run_restricted(const Errand& errand, Run& run) {
    Oid role;
    int context;
    GetUserIdAndSecContext(&role, &context);
    SetUserIdAndSecContext(errand.role, context | SECURITY_RESTRICTED_OPERATION);
    try_batch(errand, run);
    CommitTransactionCommand();
    SetUserIdAndSecContext(role, context); // an abort does this, too
}

// Returns false after an error, which bus_stat shows.
bool run_batch(const Errand& errand, Run& run) {
    return try_work([&] {
        SetCurrentStatementStartTimestamp();
        StartTransactionCommand();
        pgstat_report_activity(STATE_RUNNING, "odoo_bus: deleting rows older than odoo_bus.retention");
        run_restricted(errand, run);
        pgstat_report_stat(false);
        pgstat_report_activity(STATE_IDLE, nullptr);
    });
}

void pause_us(int64 microseconds) {
    static uint32 wait_event = 0;
    WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
              static_cast<long>(microseconds / 1000 + 1), named_wait_event("OdooBusRetention", wait_event));
    ResetLatch(MyLatch);
    CHECK_FOR_INTERRUPTS();
}

void delete_in_batches(const Errand& errand) {
    MemoryContext context =
        AllocSetContextCreate(TopMemoryContext, "odoo_bus retention", ALLOCSET_DEFAULT_SIZES);
    MemoryContextSwitchTo(context);
    for (Run run;;) {
        const TimestampTz begin = GetCurrentTimestamp();
        run.deleted = 0;
        if (!run_batch(errand, run)) {
            report_retention(errand.place, 0, GetCurrentTimestamp() + after_error_us);
            return;
        }
        MemoryContextReset(context);
        report_retention(errand.place, run.deleted, run.is_complete ? next_run(run) : 0);
        if (run.is_complete)
            return;
        if (database_is_wanted()) {
            report_retention(errand.place, 0, GetCurrentTimestamp() + after_error_us);
            return;
        }
        pause_us(std::clamp(GetCurrentTimestamp() - begin, INT64CONST(1000), USECS_PER_SEC));
    }
}

} // namespace

} // namespace odoo_bus

using namespace odoo_bus;

extern "C" {

PGDLLEXPORT void odoo_bus_retention_main(Datum);

void odoo_bus_retention_main(Datum) {
    pqsignal(SIGTERM, die);
    BackgroundWorkerUnblockSignals();
    const Errand errand = own_errand();
    if (!attach_retention(errand.place, errand.life))
        proc_exit(0);
    connect_worker(errand);
    pin_settings();
    // Rows that reappear after a crash are deleted again.
    pin_setting("synchronous_commit", "off");
    pin_setting("lock_timeout", "1s");
    delete_in_batches(errand);
    proc_exit(0);
}
}
