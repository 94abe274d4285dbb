// The code that a statement on a table can run besides PostgreSQL's own.
#include "postgres/table_code.h"

#include "base/format.h"

namespace odoo_bus {

namespace {

// What is attached to the table uses what is not PostgreSQL's own, whose oids are below 16384.
constexpr const char* USED = R"(
SELECT pg_describe_object(o.classid, o.objid, 0) || ' uses ' ||
       pg_describe_object(used.refclassid, used.refobjid, 0) AS code
FROM (SELECT 'pg_class'::regclass::oid AS classid, indexrelid AS objid FROM pg_index WHERE indrelid = {oid}
      UNION ALL SELECT 'pg_constraint'::regclass, oid FROM pg_constraint WHERE conrelid = {oid}
      UNION ALL SELECT 'pg_statistic_ext'::regclass, oid FROM pg_statistic_ext WHERE stxrelid = {oid}{written}
     ) AS o JOIN pg_depend AS used ON used.classid = o.classid AND used.objid = o.objid
WHERE used.refobjid >= 16384
AND used.refclassid IN ('pg_proc'::regclass, 'pg_operator'::regclass, 'pg_type'::regclass))";

constexpr const char* WRITTEN = R"(
      UNION ALL SELECT 'pg_class'::regclass, {oid}
      UNION ALL SELECT 'pg_attrdef'::regclass, oid FROM pg_attrdef WHERE adrelid = {oid}
      UNION ALL SELECT 'pg_trigger'::regclass, oid FROM pg_trigger WHERE tgrelid = {oid})";

// Whatever they use: a rule replaces the statement, and the triggers of a table to which a foreign key or
// inheritance leads are those of its owner.
constexpr const char* REDIRECTED = R"(
UNION ALL SELECT pg_describe_object('pg_rewrite'::regclass, oid, 0) FROM pg_rewrite WHERE ev_class = {oid}
UNION ALL SELECT 'row-level security' WHERE row_security_active({oid})
UNION ALL SELECT pg_describe_object('pg_constraint'::regclass, oid, 0) FROM pg_constraint
WHERE confrelid = {oid} AND contype = 'f' AND NOT (confdeltype IN ('a', 'r') AND confupdtype IN ('a', 'r'))
UNION ALL SELECT pg_describe_object('pg_class'::regclass, inhrelid, 0) || ' inherits from it'
FROM pg_inherits WHERE inhparent = {oid})";

// The views on it, and functions that name it, come and go, and are nothing to a statement on the table. A
// rewrite gives it another TOAST table.
constexpr const char* ATTACHED = R"(
SELECT objid AS attached FROM pg_depend
WHERE refclassid = 'pg_class'::regclass AND refobjid = {oid} AND classid <> 'pg_proc'::regclass
AND NOT (classid = 'pg_rewrite'::regclass AND deptype = 'n')
AND NOT (classid = 'pg_class'::regclass AND deptype = 'i') AND objid <> ALL ('{{{known}}}'::oid[])
UNION ALL SELECT refobjid FROM pg_depend
WHERE classid = 'pg_class'::regclass AND objid = {oid} AND refobjid <> ALL ('{{{known}}}'::oid[]))";

std::string with_oid(const char* sql, const std::string& oid, const std::string& written = {}) {
    return fmt::format(runtime_format(sql), fmt::arg("oid", oid), fmt::arg("written", written));
}

// But the known ones.
std::string attached(const std::string& oid, const std::string& known) {
    return fmt::format(runtime_format(ATTACHED), fmt::arg("oid", oid), fmt::arg("known", known));
}

} // namespace

std::string sql_literal(const std::string& text) {
    std::string quoted = text.find('\\') == text.npos ? "'" : " E'";
    for (const char c : text)
        quoted.append(c == '\'' || c == '\\' ? 2 : 1, c);
    return quoted + "'";
}

std::string table_code(const std::string& oid, TableUse use) {
    const bool writes = use == TableUse::WRITE;
    return "(SELECT code FROM (" + with_oid(USED, oid, writes ? with_oid(WRITTEN, oid) : "") +
           (writes ? with_oid(REDIRECTED, oid) : "") + ") AS found LIMIT 1)";
}

std::string table_attachments(const std::string& oid) {
    return fmt::format("(SELECT string_agg(DISTINCT attached::text, ',') FROM ({}) AS found)",
                       attached(oid, ""));
}

// What a name means is a constant of the plan, which is made anew when that can have changed.
std::string table_guard(const std::vector<SeenTable>& tables) {
    std::string changes;
    for (const SeenTable& table : tables) {
        changes += fmt::format("{}SELECT '0'::oid AS attached WHERE {}::regclass::oid <> '{}'::oid",
                               changes.empty() ? "" : " UNION ALL ", sql_literal(table.name), table.oid);
        if (!table.attachments.empty())
            changes += " UNION ALL " + attached(fmt::format("'{}'::oid", table.oid), table.attachments);
    }
    // A text that is no number is an error.
    return fmt::format("SELECT ({} || attached)::int4 FROM ({}) AS changes", sql_literal(TABLE_HAS_CHANGED),
                       changes);
}

} // namespace odoo_bus
