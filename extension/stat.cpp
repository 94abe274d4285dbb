// stat.cpp: what the view bus_stat shows, and bus_stat_reset().
#include "doorbell_queue.h"
#include "query.h"
#include "table.h"

namespace odoo_bus {

namespace {

constexpr int stat_columns = 14;

struct StatRow {
    Datum values[stat_columns];
    bool nulls[stat_columns];
    int count = 0;

    void add(Datum value) {
        values[count] = value;
        nulls[count++] = false;
    }
    void add_null() {
        values[count] = Datum(0);
        nulls[count++] = true;
    }
    void add_time(TimestampTz time) {
        if (time)
            add(TimestampTzGetDatum(time));
        else
            add_null();
    }
};

// NULL without a table, or without a right to its sequence.
void add_ids(StatRow& row, Oid schema) {
    bool id_is_int8 = false;
    const Oid sequence = bus_sequence(schema, &id_is_int8);
    if (!OidIsValid(sequence) ||
        pg_class_aclcheck(sequence, GetUserId(), ACL_USAGE | ACL_SELECT) != ACLCHECK_OK) {
        row.add_null();
        row.add_null();
        return;
    }
    connect_spi();
    run_query("SELECT COALESCE(pg_catalog.pg_sequence_last_value($1), 0)",
              {{REGCLASSOID, ObjectIdGetDatum(sequence)}}, true);
    bool is_null;
    const int64 last_id =
        DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &is_null));
    SPI_finish();
    row.add(Int64GetDatum(last_id));
    row.add(Int64GetDatum((id_is_int8 ? PG_INT64_MAX : int64{PG_INT32_MAX}) - last_id));
}

// NULL where the extension is not preloaded.
void add_doorbell(StatRow& row) {
    if (!queue_exists()) {
        while (row.count < stat_columns)
            row.add_null();
        return;
    }
    const QueueStat stat = queue_stat();
    for (const uint64 counter : {stat.sent, stat.doorbells, stat.notifies, stat.coalesced, stat.fallbacks})
        row.add(Int64GetDatum(static_cast<int64>(counter)));
    row.add(Int64GetDatum(stat.bytes_used));
    row.add(Int64GetDatum(stat.bytes));
    if (stat.worker_pid)
        row.add(Int32GetDatum(stat.worker_pid));
    else
        row.add_null();
    if (stat.last_error[0])
        row.add(CStringGetTextDatum(stat.last_error));
    else
        row.add_null();
    row.add_time(stat.last_error_at);
    row.add_time(stat.reset_at);
}

} // namespace

} // namespace odoo_bus

using namespace odoo_bus;

extern "C" {

PG_FUNCTION_INFO_V1(odoo_bus_stat);
PG_FUNCTION_INFO_V1(odoo_bus_stat_reset);

Datum odoo_bus_stat(PG_FUNCTION_ARGS) {
    TupleDesc descriptor;
    if (get_call_result_type(fcinfo, nullptr, &descriptor) != TYPEFUNC_COMPOSITE)
        elog(ERROR, "return type must be a row type");
    StatRow row;
    row.add(CStringGetTextDatum(queue_exists() ? "doorbell" : "notify"));
    add_ids(row, extension_schema(fcinfo));
    add_doorbell(row);
    // An older script may know fewer columns; new ones come last.
    if (descriptor->natts > row.count)
        elog(ERROR, "bus_stat() has %d columns, the shared library knows %d", descriptor->natts, row.count);
    PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(descriptor), row.values, row.nulls)));
}

Datum odoo_bus_stat_reset(PG_FUNCTION_ARGS) {
    if (!queue_exists())
        ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                        errmsg("there are no counters, because odoo_bus is not preloaded"),
                        errhint("Add odoo_bus to shared_preload_libraries and restart the server.")));
    reset_queue_stat();
    PG_RETURN_VOID();
}
}
