// retention_worker.cpp: the background worker that deletes old rows of one database, as the owner of the
// table.
//
// It deletes by ascending id, which needs no other index, in small transactions with pauses as long as they
// took. Its locks do not conflict with senders, and autovacuum keeps up.
#include "doorbell_queue.h"
#include "query.h"
#include "retention.h"
#include "worker.h"

namespace odoo_bus {

namespace {

constexpr int64 batch_rows = 5000;
constexpr int64 longest_interval_us = 60 * USECS_PER_SEC, shortest_interval_us = USECS_PER_SEC;
constexpr int64 after_error_us = 60 * USECS_PER_SEC;

struct Batch {
    uint64 deleted = 0;
    bool is_last = true;
    int64 last_id = 0;
    TimestampTz next_run = 0; // after the last batch
};

int64 number(int column, bool* is_null) {
    return DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column, is_null));
}

// The time at which the oldest row is due, but late enough to delete more than a few rows in a run.
TimestampTz next_run(const char* table, int64 keep_us) {
    run_query(
        psprintf("SELECT b.create_date FROM %s AS b WHERE b.create_date IS NOT NULL ORDER BY b.id LIMIT 1",
                 table),
        {}, true);
    if (SPI_processed == 0)
        return 0;
    bool is_null;
    const Timestamp oldest =
        DatumGetTimestamp(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &is_null));
    const TimestampTz now = GetCurrentTimestamp();
    const int64 interval = std::clamp(keep_us / 10, shortest_interval_us, longest_interval_us);
    if (TIMESTAMP_NOT_FINITE(oldest) || oldest > now)
        return now + keep_us;
    return std::max(oldest + keep_us, now + interval);
}

Batch delete_batch(const char* table, Oid relid, int64 after_id) {
    Batch batch;
    const int64 keep_us = table_retention(relid) * USECS_PER_SEC;
    if (keep_us == 0)
        return batch;
    const Timestamp oldest_kept = GetCurrentTimestamp() - keep_us;
    run_query(
        psprintf(
            "WITH batch AS MATERIALIZED (SELECT b.id, b.create_date FROM %s AS b WHERE b.id "
            "OPERATOR(pg_catalog.>) $1 ORDER BY b.id LIMIT $2), gone AS (DELETE FROM %s AS b USING batch "
            "WHERE b.id OPERATOR(pg_catalog.=) batch.id AND batch.create_date OPERATOR(pg_catalog.<) $3 "
            "RETURNING 1) SELECT (SELECT pg_catalog.count(*) FROM gone), pg_catalog.count(*), "
            "pg_catalog.max(id)::pg_catalog.int8, pg_catalog.count(*) FILTER (WHERE create_date "
            "OPERATOR(pg_catalog.>=) $3) FROM batch",
            table, table),
        {{INT8OID, Int64GetDatum(after_id)},
         {INT8OID, Int64GetDatum(batch_rows)},
         {TIMESTAMPOID, TimestampGetDatum(oldest_kept)}},
        false);
    bool is_null;
    batch.deleted = static_cast<uint64>(number(1, &is_null));
    const int64 read = number(2, &is_null);
    batch.last_id = number(3, &is_null);
    const int64 young = number(4, &is_null);
    // Rows of long transactions are older than some with lower ids, so a few young rows do not end the run.
    batch.is_last = read < batch_rows || (batch.deleted == 0 && young > 0);
    if (batch.is_last)
        batch.next_run = next_run(table, keep_us);
    return batch;
}

// Runs in a transaction. A table with another owner by now is not touched: its triggers would run with this
// role's privileges.
Batch try_batch(Oid schema, int64 after_id) {
    Batch batch;
    const char* schema_name = get_namespace_name(schema);
    if (!schema_name)
        return batch;
    RangeVar* name = makeRangeVar(pstrdup(schema_name), pstrdup("bus_bus"), -1);
    const Oid relid = RangeVarGetRelid(name, RowExclusiveLock, true);
    if (!OidIsValid(relid))
        return batch;
    Relation relation = relation_open(relid, NoLock);
    if (relation->rd_rel->relowner == GetUserId() && relation->rd_rel->relkind != RELKIND_VIEW) {
        PushActiveSnapshot(GetTransactionSnapshot());
        connect_spi();
        batch = delete_batch(quote_qualified_identifier(schema_name, "bus_bus"), relid, after_id);
        SPI_finish();
        PopActiveSnapshot();
    }
    relation_close(relation, NoLock);
    return batch;
}

// Returns false after an error, which bus_stat shows.
bool run_batch(Oid schema, int64 after_id, Batch& batch) {
    return try_work([&] {
        SetCurrentStatementStartTimestamp();
        StartTransactionCommand();
        pgstat_report_activity(STATE_RUNNING, "odoo_bus: deleting rows older than odoo_bus.retention");
        batch = try_batch(schema, after_id);
        CommitTransactionCommand();
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

void run(const Errand& errand) {
    MemoryContext context =
        AllocSetContextCreate(TopMemoryContext, "odoo_bus retention", ALLOCSET_DEFAULT_SIZES);
    MemoryContextSwitchTo(context);
    for (int64 after_id = PG_INT64_MIN;;) {
        Batch batch;
        const TimestampTz begin = GetCurrentTimestamp();
        if (!run_batch(errand.schema, after_id, batch)) {
            report_retention(errand.place, 0, GetCurrentTimestamp() + after_error_us);
            return;
        }
        MemoryContextReset(context);
        if (batch.is_last) {
            report_retention(errand.place, batch.deleted, batch.next_run);
            return;
        }
        report_retention(errand.place, batch.deleted, 0);
        after_id = batch.last_id;
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
    // Rows that reappear after a crash are deleted again.
    SetConfigOption("synchronous_commit", "off", PGC_SUSET, PGC_S_OVERRIDE);
    SetConfigOption("lock_timeout", "1s", PGC_SUSET, PGC_S_OVERRIDE);
    SetConfigOption("default_transaction_isolation", "read committed", PGC_SUSET, PGC_S_OVERRIDE);
    run(errand);
    proc_exit(0);
}
}
