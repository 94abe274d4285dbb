// maintenance.cpp: bus_create_table(), bus_gc(), bus_gc_all() and bus_version().
#include "query.h"
#include "retention.h"
#include "table.h"

using namespace odoo_bus;

namespace {

// The arguments of bus_gc() and bus_gc_all().
struct Deletion {
    Timestamp oldest_kept;
    int64 max_rows;
};

Deletion read_arguments(FunctionCallInfo fcinfo) {
    if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
        ereport(ERROR,
                (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("retention and max_rows must not be NULL"),
                 errhint("Leave them out for 24 hours and 10000 rows.")));
    const Timestamp now = GetCurrentTimestamp();
    const Timestamp oldest_kept = DatumGetTimestamp(
        DirectFunctionCall2(timestamp_mi_interval, TimestampGetDatum(now), PG_GETARG_DATUM(0)));
    const int64 max_rows = PG_GETARG_INT64(1);
    if (oldest_kept > now)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("retention must not be negative"),
                        errhint("Give the age from which on rows are deleted, for example '24 hours'.")));
    if (max_rows <= 0)
        ereport(ERROR,
                (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("max_rows must be greater than zero"),
                 errhint("Leave it out for 10000 rows at a time.")));
    return {oldest_kept, max_rows};
}

// A row that is dated in the future is as old as the next one that is not.
uint64 delete_rows(Oid schema, const Deletion& deletion) {
    const char* table = deletable_bus_table(schema);
    return run_query(
        psprintf(
            "DELETE FROM %s AS b WHERE b.id OPERATOR(pg_catalog.=) ANY (SELECT o.id FROM %s AS o WHERE o.id "
            "OPERATOR(pg_catalog.<=) (SELECT pg_catalog.max(a.id) FROM (SELECT a.id FROM %s AS a WHERE "
            "a.create_date OPERATOR(pg_catalog.<) $1 ORDER BY a.id LIMIT $2) AS a) AND (o.create_date "
            "OPERATOR(pg_catalog.<) $1 OR o.create_date OPERATOR(pg_catalog.>) $3) ORDER BY o.id LIMIT $2)",
            table, table, table),
        {{TIMESTAMPOID, TimestampGetDatum(deletion.oldest_kept)},
         {INT8OID, Int64GetDatum(deletion.max_rows)},
         {TIMESTAMPOID, TimestampGetDatum(GetCurrentTimestamp())}},
        false);
}

} // namespace

extern "C" {

PG_FUNCTION_INFO_V1(odoo_bus_create_table);
PG_FUNCTION_INFO_V1(odoo_bus_gc);
PG_FUNCTION_INFO_V1(odoo_bus_gc_all);
PG_FUNCTION_INFO_V1(odoo_bus_version);

Datum odoo_bus_create_table(PG_FUNCTION_ARGS) {
    const char* schema = get_namespace_name(extension_schema(fcinfo));
    if (OidIsValid(get_relname_relid("bus_bus", extension_schema(fcinfo))))
        ereport(ERROR, (errcode(ERRCODE_DUPLICATE_TABLE),
                        errmsg("there is a table \"bus_bus\" in schema \"%s\" already", schema),
                        errhint("Nothing is left to do: the functions of odoo_bus use it.")));
    const bool bigint_ids = !PG_ARGISNULL(0) && PG_GETARG_BOOL(0);
    connect_spi();
    run_query(
        psprintf(
            "CREATE TABLE %s (id %s PRIMARY KEY, channel pg_catalog.varchar, message pg_catalog.varchar, "
            "create_uid pg_catalog.int4, create_date pg_catalog.timestamp, "
            "write_uid pg_catalog.int4, write_date pg_catalog.timestamp)",
            quote_qualified_identifier(schema, "bus_bus"), bigint_ids ? "bigserial" : "serial"),
        {}, false);
    run_query(psprintf("CREATE INDEX ON %s (create_date)", quote_qualified_identifier(schema, "bus_bus")), {},
              false);
    run_query(psprintf("COMMENT ON TABLE %s IS %s", quote_qualified_identifier(schema, "bus_bus"),
                       quote_literal_cstr(retention_comment)),
              {}, false);
    SPI_finish();
    PG_RETURN_VOID();
}

Datum odoo_bus_gc(PG_FUNCTION_ARGS) {
    const Deletion deletion = read_arguments(fcinfo);
    PreventCommandIfReadOnly("bus_gc()");
    connect_spi();
    const uint64 deleted = delete_rows(extension_schema(fcinfo), deletion);
    SPI_finish();
    PG_RETURN_INT64(static_cast<int64>(deleted));
}

Datum odoo_bus_gc_all(PG_FUNCTION_ARGS) {
    const Deletion deletion = read_arguments(fcinfo);
    PreventCommandIfReadOnly("bus_gc_all()");
    const bool is_atomic = !fcinfo->context || !IsA(fcinfo->context, CallContext) ||
                           castNode(CallContext, fcinfo->context)->atomic;
    if (SPI_connect_ext(is_atomic ? 0 : SPI_OPT_NONATOMIC) != SPI_OK_CONNECT)
        elog(ERROR, "SPI_connect_ext failed");
    for (bool is_last = false; !is_last;) {
        PushActiveSnapshot(GetTransactionSnapshot());
        is_last = delete_rows(extension_schema(fcinfo), deletion) < static_cast<uint64>(deletion.max_rows);
        PopActiveSnapshot();
        SPI_commit();
        SPI_start_transaction(); // SPI_commit() does it since 15
    }
    SPI_finish();
    PG_RETURN_VOID();
}

Datum odoo_bus_version(PG_FUNCTION_ARGS) {
    PG_RETURN_TEXT_P(cstring_to_text(ODOO_BUS_VERSION));
}
}
