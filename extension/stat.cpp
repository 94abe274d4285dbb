// stat.cpp: the view bus_stat, and bus_stat_reset().
#include "doorbell_queue.h"
#include "query.h"
#include "retention.h"
#include "retention_table.h"
#include "sender_pool.h"
#include "table.h"

namespace odoo_bus {

namespace {

constexpr int stat_columns = 21;
constexpr int last_doorbell_column = 13;
constexpr int worker_columns = 4;

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

struct Ids {
    int64 last, left;
    bool run_out; // less than a tenth of the range is left
};

struct Retention {
    int64 seconds = 0;              // 0: rows are not to be deleted
    const char* obstacle = nullptr; // why they are not deleted all the same
};

// Returns nothing without a table, or without a privilege on its sequence.
std::optional<Ids> find_ids(Oid schema) {
    bool id_is_int8 = false;
    const Oid sequence = bus_sequence(schema, &id_is_int8);
    if (!OidIsValid(sequence) ||
        pg_class_aclcheck(sequence, GetUserId(), ACL_USAGE | ACL_SELECT) != ACLCHECK_OK)
        return {};
    connect_spi();
    run_query("SELECT COALESCE(pg_catalog.pg_sequence_last_value($1), 0)",
              {{REGCLASSOID, ObjectIdGetDatum(sequence)}}, true);
    bool is_null;
    const int64 last_id =
        DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &is_null));
    SPI_finish();
    const int64 highest = id_is_int8 ? PG_INT64_MAX : int64{PG_INT32_MAX};
    return Ids{last_id, highest - last_id, highest - last_id < highest / 10};
}

void add_ids(StatRow& row, const std::optional<Ids>& ids) {
    if (ids) {
        row.add(Int64GetDatum(ids->last));
        row.add(Int64GetDatum(ids->left));
    } else {
        row.add_null();
        row.add_null();
    }
}

void add_warning(StatRow& row, const std::optional<Ids>& ids, const Retention& retention) {
    StringInfoData text;
    initStringInfo(&text);
    if (ids && ids->run_out)
        appendStringInfo(&text,
                         "the ids of bus_bus will run out: %lld are left, less than 10 %% of their range; "
                         "empty the table and restart its sequence in a quiet hour",
                         static_cast<long long>(ids->left));
    if (retention.obstacle)
        appendStringInfo(&text, "%sold rows of bus_bus are not deleted: %s", text.len > 0 ? "; " : "",
                         retention.obstacle);
    if (text.len > 0)
        row.add(CStringGetTextDatum(text.data));
    else
        row.add_null();
}

// NULL if the extension is not preloaded.
void add_doorbell(StatRow& row) {
    if (!queue_exists()) {
        while (row.count <= last_doorbell_column)
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

void add_workers(StatRow& row) {
    if (!queue_exists()) {
        for (int column = 0; column < worker_columns; ++column)
            row.add_null();
        return;
    }
    const SenderStat stat = sender_stat();
    row.add(Int64GetDatum(static_cast<int64>(stat.sent)));
    row.add(Int64GetDatum(static_cast<int64>(stat.failed)));
    row.add(Int32GetDatum(stat.senders));
    row.add(Int64GetDatum(static_cast<int64>(retention_stat().deleted)));
}

Retention find_retention(Oid schema) {
    Retention found;
    const Oid relid = get_relname_relid("bus_bus", schema);
    Relation table =
        queue_exists() && OidIsValid(relid) ? try_relation_open(relid, AccessShareLock) : nullptr;
    if (!table)
        return found;
    found.seconds = table_retention(relid);
    if (found.seconds > 0)
        found.obstacle = retention_obstacle(table);
    relation_close(table, AccessShareLock);
    return found;
}

// NULL if no rows are deleted.
void add_retention(StatRow& row, const Retention& retention) {
    if (retention.seconds == 0 || retention.obstacle) {
        row.add_null();
        return;
    }
    Interval* interval = static_cast<Interval*>(palloc0(sizeof(Interval)));
    interval->time = retention.seconds * USECS_PER_SEC;
    row.add(IntervalPGetDatum(interval));
}

// By bus_notify(). NULL if the extension is not preloaded.
void add_notified(StatRow& row) {
    if (queue_exists())
        row.add(Int64GetDatum(static_cast<int64>(queue_stat().notified)));
    else
        row.add_null();
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
    const std::optional<Ids> ids = find_ids(extension_schema(fcinfo));
    add_ids(row, ids);
    add_doorbell(row);
    add_workers(row);
    const Retention retention = find_retention(extension_schema(fcinfo));
    add_warning(row, ids, retention);
    add_retention(row, retention);
    add_notified(row);
    // An older script may have fewer columns; new ones are last.
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
    reset_sender_stat();
    reset_retention_stat();
    PG_RETURN_VOID();
}
}
