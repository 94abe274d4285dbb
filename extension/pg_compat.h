// pg_compat.h: the differences between PostgreSQL 13 and 19, all in one place. Included by pg.h only.
#pragma once

// Since 18 pg_get_loaded_modules() returns the version; PG_MODULE_MAGIC alone does not set it, for which C++
// compilers warn.
#ifdef PG_MODULE_MAGIC_EXT
#define ODOO_BUS_MODULE_MAGIC PG_MODULE_MAGIC_EXT(.name = "odoo_bus", .version = ODOO_BUS_VERSION)
#else
#define ODOO_BUS_MODULE_MAGIC PG_MODULE_MAGIC
#endif

// The header exists since 14, and is not brought in by others since 19.
#if PG_VERSION_NUM >= 140000
extern "C" {
#include "utils/wait_event.h"
}
#endif

namespace odoo_bus {

#if PG_VERSION_NUM < 140000
#define F_NEXTVAL F_NEXTVAL_OID
#define F_INT4_INT8 F_INT84
#endif

// The sequence of an identity column.
inline Oid identity_sequence(Relation table, AttrNumber column) {
#if PG_VERSION_NUM >= 170000
    return getIdentitySequence(table, column, false);
#else
    return getIdentitySequence(RelationGetRelid(table), column, false);
#endif
}

// Makes an open and locked table the only result relation of an executor state.
inline ResultRelInfo* make_result_relation(EState* estate, Relation table) {
    RangeTblEntry* entry = makeNode(RangeTblEntry);
    entry->rtekind = RTE_RELATION;
    entry->relid = RelationGetRelid(table);
    entry->relkind = table->rd_rel->relkind;
    entry->rellockmode = RowExclusiveLock;
#if PG_VERSION_NUM >= 160000
    // Privileges are checked already; the executor uses the entry in error messages about rejected rows.
    List* permissions = NIL;
    addRTEPermissionInfo(&permissions, entry);
#endif
#if PG_VERSION_NUM >= 180000
    ExecInitRangeTable(estate, list_make1(entry), permissions, bms_make_singleton(1));
#elif PG_VERSION_NUM >= 160000
    ExecInitRangeTable(estate, list_make1(entry), permissions);
#else
    ExecInitRangeTable(estate, list_make1(entry));
#endif
    ResultRelInfo* result = makeNode(ResultRelInfo);
#if PG_VERSION_NUM >= 140000
    ExecInitResultRelation(estate, result, 1);
#else
    InitResultRelInfo(result, table, 1, nullptr, 0);
    estate->es_result_relations = result;
    estate->es_num_result_relations = 1;
    estate->es_result_relation_info = result;
#endif
    return result;
}

inline void close_result_relation(EState* estate, ResultRelInfo* result) {
#if PG_VERSION_NUM >= 140000
    ExecCloseResultRelations(estate);
    ExecCloseRangeTableRelations(estate);
#else
    ExecCloseIndices(result);
    ExecCleanUpTriggerState(estate);
#endif
}

inline void insert_tuple(EState* estate, ResultRelInfo* result, TupleTableSlot* slot) {
#if PG_VERSION_NUM >= 140000
    ExecSimpleRelationInsert(result, estate, slot);
#else
    ExecSimpleRelationInsert(estate, slot);
#endif
}

// Waits for no other transaction.
inline TM_Result delete_tuple(Relation table, ItemPointer row) {
    const CommandId command = GetCurrentCommandId(true);
    const Snapshot snapshot = GetActiveSnapshot();
    constexpr bool wait = false;
    TM_FailureData failure;
#if PG_VERSION_NUM >= 190000
    constexpr uint32 options = 0;
    return table_tuple_delete(table, row, command, options, snapshot, InvalidSnapshot, wait, &failure);
#else
    constexpr bool changing_partition = false;
    return table_tuple_delete(table, row, command, snapshot, InvalidSnapshot, wait, &failure,
                              changing_partition);
#endif
}

inline IndexScanDesc begin_index_scan(Relation table, Relation index, Snapshot snapshot, int keys) {
#if PG_VERSION_NUM >= 190000
    return index_beginscan(table, index, snapshot, nullptr, keys, 0, SO_NONE);
#elif PG_VERSION_NUM >= 180000
    return index_beginscan(table, index, snapshot, nullptr, keys, 0);
#else
    return index_beginscan(table, index, snapshot, keys, 0);
#endif
}

// Makes a set-returning function return a tuplestore.
inline ReturnSetInfo* materialize_result(FunctionCallInfo fcinfo) {
    ReturnSetInfo* result = reinterpret_cast<ReturnSetInfo*>(fcinfo->resultinfo);
#if PG_VERSION_NUM >= 150000
    InitMaterializedSRF(fcinfo, 0);
#else
    if (!result || !IsA(result, ReturnSetInfo) || !(result->allowedModes & SFRM_Materialize))
        ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                        errmsg("materialize mode required, but it is not allowed in this context")));
    const MemoryContext caller_context = MemoryContextSwitchTo(result->econtext->ecxt_per_query_memory);
    if (get_call_result_type(fcinfo, nullptr, &result->setDesc) != TYPEFUNC_COMPOSITE)
        elog(ERROR, "return type must be a row type");
    result->returnMode = SFRM_Materialize;
    result->setResult =
        tuplestore_begin_heap((result->allowedModes & SFRM_Materialize_Random) != 0, false, work_mem);
    MemoryContextSwitchTo(caller_context);
#endif
    return result;
}

// All settings, ordered by name. Valid until one is defined.
inline std::span<config_generic* const> all_settings() {
#if PG_VERSION_NUM >= 160000
    int count;
    config_generic** settings = get_guc_variables(&count);
    return {settings, static_cast<std::size_t>(count)};
#else
    return {get_guc_variables(), static_cast<std::size_t>(GetNumConfigOptions())};
#endif
}

// What a setting of this type has besides what all settings have: since 19 a member of it, before the struct
// of which it is the first member.
template <class Typed>
const Typed& typed_setting(const config_generic& setting) {
#if PG_VERSION_NUM >= 190000
    const void* typed = &setting._bool; // all types are one union
#else
    const void* typed = &setting;
#endif
    return *static_cast<const Typed*>(typed);
}

inline const char* enum_setting_name(const config_generic& setting, int value) {
#if PG_VERSION_NUM >= 190000
    return config_enum_lookup_by_value(&setting, value);
#else
    return config_enum_lookup_by_value(const_cast<config_enum*>(&typed_setting<config_enum>(setting)), value);
#endif
}

inline void reserve_guc_prefix(const char* prefix) {
#if PG_VERSION_NUM >= 150000
    MarkGUCPrefixReserved(prefix);
#else
    EmitWarningsOnPlaceholders(prefix);
#endif
}

// Calls `request` when shared memory may be requested: at once before 15, by a hook since then.
inline void request_shared_memory(void (*request)()) {
#if PG_VERSION_NUM >= 150000
    static shmem_request_hook_type previous_hook;
    static void (*requested)();
    previous_hook = shmem_request_hook;
    requested = request;
    shmem_request_hook = [] {
        if (previous_hook)
            previous_hook();
        requested();
    };
#else
    request();
#endif
}

// To be called after the commit of a NOTIFY in a background worker, which before 15 does not wake listeners.
inline void signal_listeners() {
#if PG_VERSION_NUM < 150000
    ProcessCompletedNotifies();
#endif
}

// A wait event of this name, if the version supports it; `number` caches it.
inline uint32 named_wait_event([[maybe_unused]] const char* name, [[maybe_unused]] uint32& number) {
#if PG_VERSION_NUM >= 170000
    if (number == 0)
        number = WaitEventExtensionNew(name);
    return number;
#else
    return PG_WAIT_EXTENSION;
#endif
}

// For BackgroundWorkerInitializeConnectionByOid(): from 17 on the role need not have LOGIN.
#if PG_VERSION_NUM >= 170000
constexpr bool worker_roles_need_login = false;
constexpr uint32 worker_connection_flags = BGWORKER_BYPASS_ROLELOGINCHECK;
#else
constexpr bool worker_roles_need_login = true;
constexpr uint32 worker_connection_flags = 0;
#endif

inline bool may_connect_to_database(Oid role) {
#if PG_VERSION_NUM >= 160000
    return object_aclcheck(DatabaseRelationId, MyDatabaseId, role, ACL_CONNECT) == ACLCHECK_OK;
#else
    return pg_database_aclcheck(MyDatabaseId, role, ACL_CONNECT) == ACLCHECK_OK;
#endif
}

} // namespace odoo_bus
