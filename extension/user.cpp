// user.cpp: the channel of a user of Odoo.
//
// Every release subscribes a page to the channel of the user's partner, and since 19.3 to that of the user,
// too, which Odoo then prefers.
#include "user.h"

#include "channel.h"
#include "query.h"

namespace odoo_bus {

namespace {

struct Release {
    int major = 0, minor = 0;
    bool sends_to_users() const { return major > 19 || (major == 19 && minor >= 3); }
};

// Of the version of the module base: 19.0.1.3, or saas~19.3.1.3.
Release parse_release(std::string_view version) {
    constexpr std::string_view saas = "saas~";
    if (version.starts_with(saas))
        version.remove_prefix(saas.size());
    Release release;
    const char* const end = version.data() + version.size();
    const auto major = std::from_chars(version.data(), end, release.major);
    if (major.ec == std::errc{} && major.ptr != end && *major.ptr == '.')
        std::from_chars(major.ptr + 1, end, release.minor);
    return release;
}

struct Column {
    const char* name;
    Oid type, other_type;
};

// Two columns of a table of Odoo, as they are read.
struct OdooTable {
    const char* name;
    Column columns[2];
};

constexpr OdooTable users{"res_users", {{"id", INT4OID, INT8OID}, {"partner_id", INT4OID, INT8OID}}};
constexpr OdooTable modules{"ir_module_module",
                            {{"name", VARCHAROID, TEXTOID}, {"latest_version", VARCHAROID, TEXTOID}}};

// What a view, or a cast of another type, calls would run as the caller.
bool is_odoos(Relation relation, const OdooTable& table) {
    return relation->rd_rel->relkind == RELKIND_RELATION &&
           std::ranges::all_of(table.columns, [relation](const Column& column) {
               const AttrNumber number = get_attnum(RelationGetRelid(relation), column.name);
               if (number <= 0)
                   return false;
               const Oid type = TupleDescAttr(RelationGetDescr(relation), number - 1)->atttypid;
               return type == column.type || type == column.other_type;
           });
}

bool may_read(Oid relid, const OdooTable& table) {
    return pg_class_aclcheck(relid, GetUserId(), ACL_SELECT) == ACLCHECK_OK ||
           std::ranges::all_of(table.columns, [relid](const Column& column) {
               return pg_attribute_aclcheck(relid, get_attnum(relid, column.name), GetUserId(), ACL_SELECT) ==
                      ACLCHECK_OK;
           });
}

// Returns its quoted name. The table is locked until the end of the transaction.
const char* readable_table(Oid schema, const OdooTable& table) {
    const char* schema_name = get_namespace_name(schema);
    const Oid relid = get_relname_relid(table.name, schema);
    Relation relation = OidIsValid(relid) ? try_relation_open(relid, AccessShareLock) : nullptr;
    if (!relation || !is_odoos(relation, table))
        ereport(
            ERROR,
            (errcode(ERRCODE_UNDEFINED_TABLE),
             errmsg("there is no table \"%s\" of Odoo in schema \"%s\", in which odoo_bus is installed",
                    table.name, schema_name ? schema_name : "?"),
             errhint("bus_sendone_user() sends to users of Odoo; use bus_sendone() for other channels.")));
    const char* quoted = quote_qualified_identifier(schema_name, table.name);
    if (!may_read(relid, table))
        ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
                        errmsg("permission denied for table %s", table.name),
                        errhint("Sending to a user requires: GRANT SELECT (%s, %s) ON %s TO %s.",
                                table.columns[0].name, table.columns[1].name, quoted,
                                quote_identifier(GetUserNameFromId(GetUserId(), false)))));
    relation_close(relation, NoLock);
    return quoted;
}

} // namespace

text* user_channel(Oid schema, int64 user_id) {
    const char* users_name = readable_table(schema, users);
    const char* modules_name = readable_table(schema, modules);
    connect_spi();
    const uint64 found = run_query(
        psprintf(
            "SELECT u.partner_id::pg_catalog.int8, (SELECT m.latest_version::pg_catalog.text FROM ONLY %s "
            "AS m WHERE m.name::pg_catalog.text OPERATOR(pg_catalog.=) 'base' LIMIT 1) "
            "FROM ONLY %s AS u WHERE u.id OPERATOR(pg_catalog.=) $1",
            modules_name, users_name),
        {{INT8OID, Int64GetDatum(user_id)}}, true);
    int64 partner_id = 0;
    Release release;
    if (found > 0) {
        const HeapTuple row = SPI_tuptable->vals[0];
        bool is_null;
        const Datum partner = SPI_getbinval(row, SPI_tuptable->tupdesc, 1, &is_null);
        partner_id = is_null ? 0 : DatumGetInt64(partner);
        if (const char* version = SPI_getvalue(row, SPI_tuptable->tupdesc, 2))
            release = parse_release(version);
    }
    SPI_finish();
    if (found > 0 && release.sends_to_users())
        return make_channel("res.users", user_id);
    if (partner_id == 0)
        ereport(ERROR, (errcode(ERRCODE_NO_DATA_FOUND),
                        errmsg("there is no user %lld", static_cast<long long>(user_id)),
                        errhint("Give the id of a row of res_users, not that of a partner.")));
    return make_channel("res.partner", partner_id);
}

} // namespace odoo_bus
