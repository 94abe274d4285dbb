// table.cpp: bus_bus in the extension's schema, looked up at every call and locked before an id is drawn.
#include "table.h"

namespace odoo_bus {

namespace {

constexpr const char* table_name = "bus_bus";

// The cached description of a table. It is valid until a relcache invalidation, which every DDL statement
// sends, also those that do not change the table's own row (a trigger, a rule, a default).
BusColumns described;
Oid described_relid = InvalidOid; // set before the description is complete
bool description_valid = false;
uint64 changes_told = 0;

void on_relcache_invalidation(Datum, Oid relid) {
    if (relid == InvalidOid || relid == described_relid) {
        description_valid = false;
        ++changes_told;
    }
}

[[noreturn]] void raise_no_table(Oid schema) {
    const char* schema_name = get_namespace_name(schema);
    ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE),
                    errmsg("there is no table \"%s\" in schema \"%s\", in which odoo_bus is installed",
                           table_name, schema_name ? schema_name : "?"),
                    errhint("Install Odoo's module \"bus\" or, in a database without Odoo, run SELECT %s().",
                            quote_qualified_identifier(schema_name, "bus_create_table"))));
    pg_unreachable();
}

[[noreturn]] void raise_wrong_table(Relation table, const char* what) {
    ereport(ERROR,
            (errcode(ERRCODE_WRONG_OBJECT_TYPE),
             errmsg("\"%s\" is not a table of Odoo's bus: %s", RelationGetRelationName(table), what),
             errhint("It needs the columns id (integer or bigint, with a default), channel and message "
                     "(varchar or text), create_date and write_date (timestamp without time zone).")));
    pg_unreachable();
}

// The column's number, if it has one of the two types.
AttrNumber find_column(Relation table, const char* name, Oid type, Oid other_type, bool& without_typmod) {
    const AttrNumber number = get_attnum(RelationGetRelid(table), name);
    if (number <= 0)
        raise_wrong_table(table, psprintf("there is no column \"%s\"", name));
    const Form_pg_attribute column = TupleDescAttr(RelationGetDescr(table), number - 1);
    if (column->atttypid != type && column->atttypid != other_type)
        raise_wrong_table(
            table, psprintf("the column \"%s\" is of type %s", name, format_type_be(column->atttypid)));
    without_typmod = without_typmod && column->atttypmod == -1;
    return number;
}

// The sequence, if the expression is nextval('sequence'::regclass), as serial makes it.
Oid nextval_sequence(Node* expression) {
    if (expression && IsA(expression, FuncExpr) && castNode(FuncExpr, expression)->funcid == F_INT4_INT8)
        expression = static_cast<Node*>(linitial(castNode(FuncExpr, expression)->args));
    if (!expression || !IsA(expression, FuncExpr) || castNode(FuncExpr, expression)->funcid != F_NEXTVAL)
        return InvalidOid;
    Node* argument = static_cast<Node*>(linitial(castNode(FuncExpr, expression)->args));
    if (!IsA(argument, Const) || castNode(Const, argument)->constisnull)
        return InvalidOid;
    return DatumGetObjectId(castNode(Const, argument)->constvalue);
}

// Whether a row can be inserted without the parser and the planner.
bool is_plain(Relation table, const BusColumns& columns) {
    if (table->rd_rel->relkind != RELKIND_RELATION || table->rd_rel->relispartition || table->rd_rules ||
        table->rd_rel->relrowsecurity || !OidIsValid(columns.sequence) || columns.id_is_identity)
        return false;
    const TriggerDesc* triggers = table->trigdesc;
    if (triggers && (triggers->trig_insert_before_row || triggers->trig_insert_before_statement ||
                     triggers->trig_insert_after_statement || triggers->trig_insert_new_table))
        return false;
    const TupleDesc descriptor = RelationGetDescr(table);
    for (AttrNumber number = 1; number <= descriptor->natts; ++number) {
        const Form_pg_attribute column = TupleDescAttr(descriptor, number - 1);
        const bool is_ours = number == columns.id || number == columns.channel || number == columns.message ||
                             number == columns.create_date || number == columns.write_date;
        if (is_ours || column->attisdropped || column->attgenerated)
            continue;
        // A default of the column or of its type, or a domain that may reject NULL.
        if (column->attidentity || get_typtype(column->atttypid) == TYPTYPE_DOMAIN ||
            build_column_default(table, number))
            return false;
    }
    return true;
}

BusColumns describe(Relation table) {
    if (table->rd_rel->relkind != RELKIND_RELATION && table->rd_rel->relkind != RELKIND_PARTITIONED_TABLE)
        raise_wrong_table(table, "it is not an ordinary table");
    BusColumns columns{};
    bool without_typmod = true;
    columns.relid = RelationGetRelid(table);
    columns.id = find_column(table, "id", INT4OID, INT8OID, without_typmod);
    columns.channel = find_column(table, "channel", VARCHAROID, TEXTOID, without_typmod);
    columns.message = find_column(table, "message", VARCHAROID, TEXTOID, without_typmod);
    columns.create_date = find_column(table, "create_date", TIMESTAMPOID, InvalidOid, without_typmod);
    columns.write_date = find_column(table, "write_date", TIMESTAMPOID, InvalidOid, without_typmod);
    const Form_pg_attribute id = TupleDescAttr(RelationGetDescr(table), columns.id - 1);
    columns.id_is_int8 = id->atttypid == INT8OID;
    columns.id_is_identity = id->attidentity != '\0';
    columns.sequence = columns.id_is_identity ? identity_sequence(table, columns.id)
                                              : nextval_sequence(build_column_default(table, columns.id));
    columns.plain = without_typmod && is_plain(table, columns);
    return columns;
}

// The table must be locked, so that its definition does not change meanwhile.
BusColumns cached_description(Relation table) {
    if (description_valid && described_relid == RelationGetRelid(table))
        return described;
    description_valid = false;
    described_relid = RelationGetRelid(table);
    const uint64 changes_before = changes_told;
    const BusColumns columns = describe(table);
    described = columns;
    description_valid = changes_told == changes_before;
    return columns;
}

const char* granted_role() {
    return quote_identifier(GetUserNameFromId(GetUserId(), false));
}

BusColumns lock_to_read(Oid schema) {
    const Oid relid = get_relname_relid(table_name, schema);
    Relation relation = OidIsValid(relid) ? try_relation_open(relid, AccessShareLock) : nullptr;
    if (!relation)
        raise_no_table(schema);
    const BusColumns columns = cached_description(relation);
    relation_close(relation, NoLock);
    return columns;
}

bool may_read(const BusColumns& table, std::initializer_list<BusColumn> columns) {
    return pg_class_aclcheck(table.relid, GetUserId(), ACL_SELECT) == ACLCHECK_OK ||
           std::ranges::all_of(columns, [&table](BusColumn column) {
               return pg_attribute_aclcheck(table.relid, table.*column, GetUserId(), ACL_SELECT) ==
                      ACLCHECK_OK;
           });
}

void check_privileges(Relation table, const BusColumns& columns) {
    const Oid role = GetUserId();
    if (pg_class_aclcheck(columns.relid, role, ACL_INSERT) != ACLCHECK_OK) {
        for (const AttrNumber column :
             {columns.channel, columns.message, columns.create_date, columns.write_date})
            if (pg_attribute_aclcheck(columns.relid, column, role, ACL_INSERT) != ACLCHECK_OK)
                ereport(
                    ERROR,
                    (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
                     errmsg("permission denied for table %s", RelationGetRelationName(table)),
                     errhint(
                         "Sending, also by a trigger on another table, requires: GRANT INSERT ON %s TO %s; "
                         "and USAGE on the sequence of its ids.",
                         quote_qualified_identifier(get_namespace_name(RelationGetNamespace(table)),
                                                    RelationGetRelationName(table)),
                         granted_role())));
    }
    if (OidIsValid(columns.sequence) && !columns.id_is_identity &&
        pg_class_aclcheck(columns.sequence, role, ACL_USAGE | ACL_UPDATE) != ACLCHECK_OK) {
        const char* sequence = get_rel_name(columns.sequence);
        ereport(
            ERROR,
            (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
             errmsg("permission denied for sequence %s", sequence ? sequence : "?"),
             errhint("Sending, also by a trigger on another table, requires: GRANT USAGE ON SEQUENCE %s TO "
                     "%s; and INSERT on the table.",
                     quote_qualified_identifier(get_namespace_name(get_rel_namespace(columns.sequence)),
                                                sequence),
                     granted_role())));
    }
}

} // namespace

Oid extension_schema(FunctionCallInfo fcinfo) {
    return get_func_namespace(fcinfo->flinfo->fn_oid);
}

const char* readable_bus_table(Oid schema, std::initializer_list<BusColumn> columns) {
    const char* table = quote_qualified_identifier(get_namespace_name(schema), table_name);
    if (!may_read(lock_to_read(schema), columns))
        ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
                        errmsg("permission denied for table %s", table_name),
                        errhint("Reading requires: GRANT SELECT ON %s TO %s.", table, granted_role())));
    return table;
}

const char* deletable_bus_table(Oid schema) {
    const char* table = quote_qualified_identifier(get_namespace_name(schema), table_name);
    const BusColumns columns = lock_to_read(schema);
    if (!may_read(columns, {&BusColumns::id, &BusColumns::create_date}) ||
        pg_class_aclcheck(columns.relid, GetUserId(), ACL_DELETE) != ACLCHECK_OK)
        ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
                        errmsg("permission denied for table %s", table_name),
                        errhint("Deleting old rows requires: GRANT SELECT, DELETE ON %s TO %s.", table,
                                granted_role())));
    return table;
}

BusTable open_bus_table_for_insert(Oid schema) {
    char* schema_name = get_namespace_name(schema);
    if (!schema_name)
        raise_no_table(schema);
    // Repeats the lookup if the name refers to another table by the time that the lock is granted.
    RangeVar* name = makeRangeVar(schema_name, pstrdup(table_name), -1);
    const Oid relid = RangeVarGetRelid(name, RowExclusiveLock, true);
    if (!OidIsValid(relid))
        raise_no_table(schema);
    BusTable table;
    table.relation = relation_open(relid, NoLock);
    table.columns = cached_description(table.relation);
    check_privileges(table.relation, table.columns);
    return table;
}

void check_that_caller_may_insert(Oid schema) {
    char* schema_name = get_namespace_name(schema);
    if (!schema_name)
        raise_no_table(schema);
    const Oid relid = RangeVarGetRelid(makeRangeVar(schema_name, pstrdup(table_name), -1), NoLock, true);
    if (!OidIsValid(relid))
        raise_no_table(schema);
    if (!ConditionalLockRelationOid(relid, AccessShareLock))
        return;
    Relation relation = try_relation_open(relid, NoLock);
    if (!relation) {
        UnlockRelationOid(relid, AccessShareLock);
        raise_no_table(schema);
    }
    check_privileges(relation, cached_description(relation));
    relation_close(relation, AccessShareLock);
}

Oid bus_sequence(Oid schema, bool* id_is_int8) {
    const Oid relid = get_relname_relid(table_name, schema);
    if (!OidIsValid(relid))
        return InvalidOid;
    Relation relation = relation_open(relid, AccessShareLock);
    const BusColumns columns = cached_description(relation);
    relation_close(relation, NoLock);
    *id_is_int8 = columns.id_is_int8;
    return columns.sequence;
}

void register_table_callbacks() {
    CacheRegisterRelcacheCallback(on_relcache_invalidation, Datum(0));
}

} // namespace odoo_bus
