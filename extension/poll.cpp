// poll.cpp: bus_poll() and bus_last_id(), by which clients read.
#include "channel.h"
#include "query.h"
#include "table.h"

namespace odoo_bus {

namespace {

int64 newest_id(const char* table) {
    run_query(psprintf("SELECT COALESCE(pg_catalog.max(b.id), 0)::pg_catalog.int8 FROM %s AS b", table), {},
              true);
    bool is_null;
    return DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &is_null));
}

// Rows that were not written by this extension may hold what is no JSON, or what jsonb cannot hold: U+0000, a
// lone surrogate. Such a row is left out; one that is polled again and again is logged once by each session.
std::optional<Datum> parse_message(int64 id, const char* message) {
    static int64 last_logged_id = 0;
    const MemoryContext context = CurrentMemoryContext;
    volatile bool is_valid = true;
    volatile Datum parsed = 0;
    // No subtransaction, which a parallel query's leader could not begin: the function acquires nothing but
    // memory.
    PG_TRY();
    { parsed = DirectFunctionCall1(jsonb_in, CStringGetDatum(message)); }
    PG_CATCH();
    {
        MemoryContextSwitchTo(context);
        ErrorData* error = CopyErrorData();
        const int category = ERRCODE_TO_CATEGORY(error->sqlerrcode);
        if (category != ERRCODE_DATA_EXCEPTION && category != ERRCODE_PROGRAM_LIMIT_EXCEEDED &&
            error->sqlerrcode != ERRCODE_UNTRANSLATABLE_CHARACTER)
            PG_RE_THROW();
        FlushErrorState();
        is_valid = false;
        if (id > last_logged_id)
            ereport(LOG, (errmsg("row %lld of bus_bus cannot be delivered: %s", static_cast<long long>(id),
                                 error->message),
                          errhint("Find the program that writes it.")));
        last_logged_id = std::max(id, last_logged_id);
        FreeErrorData(error);
    }
    PG_END_TRY();
    return is_valid ? std::optional<Datum>(parsed) : std::nullopt;
}

// The channels as they are stored: a name, which does not begin like one of these, is that of a channel.
Datum stored_channels(ArrayType* channels) {
    Datum* values;
    bool* nulls;
    int count;
    deconstruct_array(channels, TEXTOID, -1, false, TYPALIGN_INT, &values, &nulls, &count);
    int stored = 0;
    for (int i = 0; i < count; ++i) {
        if (nulls[i])
            continue;
        const std::string_view channel = text_view(DatumGetTextPP(values[i]));
        if (channel.empty())
            ereport(ERROR,
                    (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                     errmsg("element %d of the channels is empty", i + 1),
                     errhint("Give the name of a channel, or a channel as bus_channel() returns it.")));
        values[stored++] = channel.starts_with('[') ? values[i] : PointerGetDatum(make_channel(channel));
    }
    return PointerGetDatum(construct_array(values, stored, TEXTOID, -1, false, TYPALIGN_INT));
}

// A client without a valid position gets the notifications of this time.
constexpr int64 first_poll_seconds = 50;

} // namespace

} // namespace odoo_bus

using namespace odoo_bus;

extern "C" {

PG_FUNCTION_INFO_V1(odoo_bus_poll);
PG_FUNCTION_INFO_V1(odoo_bus_last_id);

Datum odoo_bus_poll(PG_FUNCTION_ARGS) {
    if (PG_ARGISNULL(0))
        ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("the channels must not be NULL"),
                        errhint("Give their names, or channels as bus_channel() returns them.")));
    if (PG_ARGISNULL(1))
        ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("the last id must not be NULL"),
                        errhint("Give the id of the last notification that was received, or 0.")));
    const int64 last = PG_GETARG_INT64(1);
    ReturnSetInfo* result = materialize_result(fcinfo);
    const char* table =
        readable_bus_table(extension_schema(fcinfo), {&BusColumns::id, &BusColumns::channel,
                                                      &BusColumns::message, &BusColumns::create_date});
    constexpr const char* rows_where =
        "SELECT b.id::pg_catalog.int8, b.message::pg_catalog.text FROM %s AS b "
        "WHERE b.channel::pg_catalog.text OPERATOR(pg_catalog.=) ANY ($1) AND b.%s OPERATOR(pg_catalog.>) $2 "
        "ORDER BY b.id";
    connect_spi();
    const Parameter channels{TEXTARRAYOID, stored_channels(PG_GETARG_ARRAYTYPE_P(0))};
    uint64 count;
    if (last <= 0 || last > newest_id(table)) {
        const Timestamp since = GetCurrentTimestamp() - first_poll_seconds * USECS_PER_SEC;
        count = run_query(psprintf(rows_where, table, "create_date"),
                          {channels, {TIMESTAMPOID, TimestampGetDatum(since)}}, true);
    } else {
        count =
            run_query(psprintf(rows_where, table, "id"), {channels, {INT8OID, Int64GetDatum(last)}}, true);
    }
    for (uint64 i = 0; i < count; ++i) {
        Datum values[2];
        bool nulls[2];
        for (int column = 0; column < 2; ++column)
            values[column] =
                SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, column + 1, &nulls[column]);
        if (nulls[1])
            continue;
        char* message = TextDatumGetCString(values[1]);
        if (const auto parsed = parse_message(DatumGetInt64(values[0]), message)) {
            values[1] = *parsed;
            tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
            pfree(DatumGetPointer(*parsed));
        }
        pfree(message);
    }
    SPI_finish();
    return Datum(0);
}

Datum odoo_bus_last_id(PG_FUNCTION_ARGS) {
    const char* table = readable_bus_table(extension_schema(fcinfo), {&BusColumns::id});
    connect_spi();
    const int64 id = newest_id(table);
    SPI_finish();
    PG_RETURN_INT64(id);
}
}
