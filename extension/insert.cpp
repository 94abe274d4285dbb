// insert.cpp: inserts rows into bus_bus, with the caller's privileges.
//
// Rows of an ordinary table are inserted directly by the executor's functions, which handle constraints,
// generated columns, indexes and AFTER ROW triggers (foreign keys). For tables with more than that (rules,
// row-level security, defaults of other columns, partitions, other triggers, an audit hook), a saved SPI plan
// inserts them.
#include "insert.h"

#include "doorbell_queue.h"
#include "retention.h"

namespace odoo_bus {

namespace {

// Odoo's timestamps: the transaction's start in UTC, without zone.
Timestamp transaction_start_utc() {
    return GetCurrentTransactionStartTimestamp();
}

// Warns once while the server runs; without preloading, and thus without shared memory, once in each backend.
void warn_when_ids_run_out(const BusTable& table, int64 id) {
    static bool warned = false;
    constexpr int64 warn_above = int64{PG_INT32_MAX} / 10 * 9;
    if (warned || table.columns.id_is_int8 || id <= warn_above)
        return;
    warned = true;
    if (!is_first_warning(Warning::ids))
        return;
    ereport(WARNING,
            (errmsg("the ids of %s will run out: %lld are left, less than 10 %% of the range of an integer",
                    RelationGetRelationName(table.relation), static_cast<long long>(PG_INT32_MAX - id)),
             errhint("Empty the table and restart its sequence in a quiet hour, or change the column to "
                     "bigint where nothing but this extension and its gateway uses it.")));
}

int64 check_id(const BusTable& table, int64 id) {
    if (!table.columns.id_is_int8 && (id > PG_INT32_MAX || id < PG_INT32_MIN))
        ereport(ERROR, (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
                        errmsg("the ids of %s have run out: integer out of range",
                               RelationGetRelationName(table.relation)),
                        errhint("Empty the table and restart its sequence.")));
    return id;
}

// Evaluates a default that is not a plain nextval().
int64 evaluate_id_default(const BusTable& table, EState* estate) {
    Node* expression = build_column_default(table.relation, table.columns.id);
    if (!expression)
        ereport(ERROR,
                (errcode(ERRCODE_WRONG_OBJECT_TYPE),
                 errmsg("the column \"id\" of %s has no default", RelationGetRelationName(table.relation)),
                 errhint("Give it a sequence as its default, as Odoo does.")));
    ExprState* state = ExecPrepareExpr(reinterpret_cast<Expr*>(expression), estate);
    bool is_null;
    const Datum id = ExecEvalExprSwitchContext(state, GetPerTupleExprContext(estate), &is_null);
    if (is_null)
        ereport(ERROR, (errcode(ERRCODE_NOT_NULL_VIOLATION),
                        errmsg("the default of the column \"id\" of %s is NULL",
                               RelationGetRelationName(table.relation)),
                        errhint("Give it a sequence as its default, as Odoo does.")));
    return table.columns.id_is_int8 ? DatumGetInt64(id) : DatumGetInt32(id);
}

// The privilege on the sequence was checked together with the table's.
int64 draw_id(const BusTable& table) {
    return check_id(table, nextval_internal(table.columns.sequence, false));
}

Datum id_datum(const BusTable& table, int64 id) {
    return table.columns.id_is_int8 ? Int64GetDatum(id) : Int32GetDatum(static_cast<int32>(id));
}

void insert_directly(const BusTable& table, std::span<const Notification> notifications, int64* ids) {
    EState* estate = CreateExecutorState();
    const MemoryContext caller_context = MemoryContextSwitchTo(estate->es_query_cxt);
    ResultRelInfo* result = make_result_relation(estate, table.relation);
    ExecOpenIndices(result, false);
    estate->es_output_cid = GetCurrentCommandId(true);
    TupleTableSlot* slot = ExecInitExtraTupleSlot(estate, RelationGetDescr(table.relation), &TTSOpsVirtual);
    const bool fires_triggers = result->ri_TrigDesc != nullptr;
    if (fires_triggers)
        AfterTriggerBeginQuery();

    const auto set = [slot](AttrNumber column, Datum value) {
        slot->tts_values[column - 1] = value;
        slot->tts_isnull[column - 1] = false;
    };
    const Datum now = TimestampGetDatum(transaction_start_utc());
    const BusColumns& columns = table.columns;
    for (const Notification& notification : notifications) {
        ResetPerTupleExprContext(estate);
        ExecClearTuple(slot);
        std::fill_n(slot->tts_isnull, slot->tts_tupleDescriptor->natts, true);
        std::fill_n(slot->tts_values, slot->tts_tupleDescriptor->natts, Datum(0));
        *ids = draw_id(table);
        set(columns.id, id_datum(table, *ids));
        set(columns.channel, PointerGetDatum(notification.channel));
        set(columns.message, PointerGetDatum(notification.message));
        set(columns.create_date, now);
        set(columns.write_date, now);
        ExecStoreVirtualTuple(slot);
        insert_tuple(estate, result, slot);
        ++ids;
    }

    if (fires_triggers)
        AfterTriggerEndQuery(estate);
    ExecResetTupleTable(estate->es_tupleTable, false);
    close_result_relation(estate, result);
    MemoryContextSwitchTo(caller_context);
    FreeExecutorState(estate);
    CommandCounterIncrement();
}

// PostgreSQL revalidates the plan when an object that it uses has changed; it is prepared again only when the
// table's name has changed.
SPIPlanPtr kept_plan(Relation relation) {
    static SPIPlanPtr plan = nullptr;
    static char* plan_table = nullptr;
    const char* table = quote_qualified_identifier(get_namespace_name(RelationGetNamespace(relation)),
                                                   RelationGetRelationName(relation));
    if (plan && strcmp(plan_table, table) == 0)
        return plan;
    if (plan) {
        SPI_freeplan(plan);
        plan = nullptr;
        pfree(plan_table);
    }
    plan_table = MemoryContextStrdup(TopMemoryContext, table);
    Oid types[] = {INT8ARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TIMESTAMPOID};
    SPIPlanPtr prepared = SPI_prepare(
        psprintf("INSERT INTO %s (id, channel, message, create_date, write_date) OVERRIDING SYSTEM VALUE "
                 "SELECT r.id, r.channel, r.message, $4, $4 FROM ROWS FROM (pg_catalog.unnest($1), "
                 "pg_catalog.unnest($2), pg_catalog.unnest($3)) AS r (id, channel, message)",
                 table),
        lengthof(types), types);
    if (!prepared)
        elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
    SPI_keepplan(prepared);
    plan = prepared;
    return plan;
}

void insert_by_plan(const BusTable& table, std::span<const Notification> notifications, int64* ids) {
    const int count = static_cast<int>(notifications.size());
    Datum* id_values = static_cast<Datum*>(palloc(count * sizeof(Datum)));
    Datum* channels = static_cast<Datum*>(palloc(count * sizeof(Datum)));
    Datum* messages = static_cast<Datum*>(palloc(count * sizeof(Datum)));
    EState* estate = CreateExecutorState();
    for (int i = 0; i < count; ++i) {
        ids[i] = OidIsValid(table.columns.sequence) ? draw_id(table) : evaluate_id_default(table, estate);
        id_values[i] = Int64GetDatum(ids[i]);
        channels[i] = PointerGetDatum(notifications[i].channel);
        messages[i] = PointerGetDatum(notifications[i].message);
    }
    FreeExecutorState(estate);
    Datum arguments[] = {PointerGetDatum(construct_array(id_values, count, INT8OID, sizeof(int64),
                                                         FLOAT8PASSBYVAL, TYPALIGN_DOUBLE)),
                         PointerGetDatum(construct_array(channels, count, TEXTOID, -1, false, TYPALIGN_INT)),
                         PointerGetDatum(construct_array(messages, count, TEXTOID, -1, false, TYPALIGN_INT)),
                         TimestampGetDatum(transaction_start_utc())};
    if (SPI_connect() != SPI_OK_CONNECT)
        elog(ERROR, "SPI_connect failed");
    const int result = SPI_execute_plan(kept_plan(table.relation), arguments, nullptr, false, 0);
    if (result < 0)
        elog(ERROR, "SPI_execute_plan failed: %s", SPI_result_code_string(result));
    SPI_finish();
}

} // namespace

void insert_notifications(Oid schema, std::span<const Notification> notifications, int64* ids) {
    const BusTable table = open_bus_table_for_insert(schema);
    if (table.columns.plain && !ExecutorCheckPerms_hook)
        insert_directly(table, notifications, ids);
    else
        insert_by_plan(table, notifications, ids);
    warn_when_ids_run_out(table, ids[notifications.size() - 1]);
    plan_retention(table.relation);
    // The lock is kept until the end of the transaction.
    relation_close(table.relation, NoLock);
}

} // namespace odoo_bus
