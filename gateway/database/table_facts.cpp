// Properties of a database and of its bus_bus.
#include "database/table_facts.h"

#include "base/format.h"
#include "database/bus_statements.h"
#include "postgres/session_settings.h"

namespace odoo_bus {

namespace {

// bus_bus is looked for where the role's search_path has found it before it was pinned (Odoo: public), else
// in the extension's schema. The types are those whose casts and output are PostgreSQL's own.
constexpr const char* QUERY = R"(
WITH extension AS (
    SELECT e.extversion, n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
    WHERE e.extname = 'odoo_bus'
), found AS (
    SELECT c.oid, c.relkind, c.relispartition, c.relhassubclass, format('%I.%I', n.nspname, c.relname) AS name,
           format('%I', n.nspname) AS schema, EXISTS (SELECT FROM pg_attribute a
               WHERE a.attrelid = c.oid AND a.attname = 'id' AND NOT a.attisdropped) AS has_id
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN unnest(current_setting('{schemas}', true)::name[]) WITH ORDINALITY AS path (schema, place)
        ON path.schema = n.nspname
    WHERE c.relname = 'bus_bus' AND c.relkind NOT IN ('i', 'S', 'I') AND c.relpersistence <> 't'
      AND (path.place IS NOT NULL OR n.nspname IN (SELECT nspname FROM extension))
    ORDER BY path.place NULLS LAST LIMIT 1
), bus AS (
    SELECT found.*, CASE WHEN has_id THEN pg_get_serial_sequence(found.name, 'id') END AS sequence,
           (SELECT string_agg(wanted.name, ', ' ORDER BY wanted.place)
            FROM (VALUES (1, 'id', '{{21,23,20}}'::oid[]), (2, 'channel', '{{25,1043}}'), (3, 'message', '{{25,1043}}'),
                         (4, 'create_date', '{{1114,1184}}')) AS wanted (place, name, types)
            WHERE NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = found.oid AND a.attname = wanted.name
                              AND NOT a.attisdropped AND a.atttypid = ANY (wanted.types))) AS wrong_columns
    FROM found
)
SELECT current_database(),
       (SELECT oid::int8 FROM pg_database WHERE datname = current_database()),
       bus.oid::int8,
       bus.name, bus.sequence,
       (SELECT extversion FROM extension),
       bus.relkind::text, bus.relispartition, bus.relhassubclass,
       drawn.seqincrement, drawn.seqmin, drawn.seqcycle, drawn.seqcache,
       has_table_privilege(bus.oid, 'SELECT'),
       has_sequence_privilege(bus.sequence, 'SELECT'),
       EXISTS (SELECT FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
               WHERE i.indrelid = bus.oid AND i.indisvalid AND i.indpred IS NULL AND a.attname = 'id'),
       EXISTS (SELECT FROM pg_subscription_rel WHERE srrelid = bus.oid),
       current_user,
       bus.schema, bus.sequence::regclass::oid::int8, bus.wrong_columns, row_security_active(bus.oid),
       {read_code}, {written_code}, {attachments}, (SELECT quote_ident(nspname) FROM extension),
       current_setting('server_encoding')
FROM (SELECT) AS one LEFT JOIN bus ON true LEFT JOIN pg_sequence AS drawn ON drawn.seqrelid = bus.sequence::regclass
)";

// The columns of the query.
enum Column {
    DATABASE,
    DATABASE_OID,
    RELATION_OID,
    TABLE,
    SEQUENCE,
    EXTENSION,
    KIND,
    PARTITION,
    CHILDREN,
    INCREMENT,
    MINIMUM,
    CYCLE,
    CACHE,
    CAN_READ,
    CAN_READ_SEQUENCE,
    INDEXED,
    SUBSCRIBED,
    ROLE,
    SCHEMA,
    SEQUENCE_OID,
    WRONG_COLUMNS,
    ROW_SECURITY,
    READ_CODE,
    WRITTEN_CODE,
    ATTACHMENTS,
    EXTENSION_SCHEMA,
    ENCODING
};

// Ids must ascend, be given out once, and be drawn when their rows are written.
std::string refusal_of_sequence(const std::string& sequence, const PgResult& row) {
    const auto refuse = [&sequence](const std::string& what, const std::string& mend) {
        return fmt::format("the sequence {} {}: run ALTER SEQUENCE {} {}", sequence, what, sequence, mend);
    };
    if (row.number(0, INCREMENT) < 1)
        return refuse("descends, and ids are followed upwards", "INCREMENT BY 1");
    if (row.number(0, MINIMUM) < 1)
        return refuse("may give out ids below 1, which clients cannot resume from", "MINVALUE 1");
    if (row.boolean(0, CYCLE))
        return refuse("has CYCLE, so that ids are given out again", "NO CYCLE");
    if (row.number(0, CACHE) != 1)
        return refuse(fmt::format("has CACHE {}, so that ids are drawn long before their rows are written",
                                  row.number(0, CACHE)),
                      "CACHE 1");
    return {};
}

// Why the table cannot be followed, and how to change that; empty when it can.
std::string refusal_of(const TableFacts& facts, const PgResult& row) {
    const std::string& table = facts.table;
    if (facts.is_standby)
        return "the server is a standby, where notifications cannot be heard: point --database at the "
               "primary, or promote it";
    if (facts.relation_oid == 0)
        return "there is no table bus_bus: install Odoo's module \"bus\", or run SELECT bus_create_table()";
    if (row.text(0, KIND) != "r" || row.boolean(0, PARTITION))
        return fmt::format(
            "{} is not an ordinary table, so the order of its rows cannot be followed: replace it by one",
            table);
    if (!row.is_null(0, WRONG_COLUMNS))
        return fmt::format(
            "{} is not like Odoo's bus_bus in the columns {}: give them the types int4 or int8 (id), "
            "text or varchar (channel, message), timestamp (create_date)",
            table, row.text(0, WRONG_COLUMNS));
    if (row.is_null(0, SEQUENCE))
        return fmt::format(
            "the ids of {} come from no sequence of its own: run ALTER SEQUENCE ... OWNED BY {}.id", table,
            table);
    if (!row.boolean(0, CAN_READ))
        return fmt::format("role \"{}\" may not read {}: run GRANT SELECT ON {} TO \"{}\"", row.text(0, ROLE),
                           table, table, row.text(0, ROLE));
    if (!row.boolean(0, CAN_READ_SEQUENCE))
        return fmt::format(
            "role \"{}\" may not read the sequence {}: run GRANT SELECT ON SEQUENCE {} TO \"{}\"",
            row.text(0, ROLE), facts.sequence, facts.sequence, row.text(0, ROLE));
    if (row.boolean(0, ROW_SECURITY))
        return fmt::format(
            "row-level security hides rows of {} from role \"{}\": run ALTER TABLE {} DISABLE ROW "
            "LEVEL SECURITY",
            table, row.text(0, ROLE), table);
    if (!facts.sees_locks && !facts.sees_snapshots)
        return fmt::format("role \"{0}\" may read neither locks nor snapshots, so that missing ids cannot be "
                           "decided: run GRANT EXECUTE ON FUNCTION pg_lock_status() TO \"{0}\"",
                           row.text(0, ROLE));
    if (!row.is_null(0, READ_CODE))
        return fmt::format(
            "reading {} would run code of its owner as role \"{}\", since {}: drop that index, "
            "constraint or statistics",
            table, row.text(0, ROLE), row.text(0, READ_CODE));
    return refusal_of_sequence(facts.sequence, row);
}

std::vector<std::string> warnings_of(const TableFacts& facts, const PgResult& row) {
    const std::string& table = facts.table;
    std::vector<std::string> warnings;
    if (facts.relation_oid && !row.boolean(0, INDEXED))
        warnings.push_back(fmt::format(
            "{} has no index on id, so that every read scans it: run ALTER TABLE {} ADD PRIMARY KEY (id)",
            table, table));
    if (row.boolean(0, CHILDREN))
        warnings.push_back(fmt::format("{} has inheritance children: rows in them are not delivered", table));
    if (row.boolean(0, SUBSCRIBED))
        warnings.push_back(fmt::format(
            "{} is filled by logical replication: such rows come without the sequence, and may be missed",
            table));
    return warnings;
}

} // namespace

std::string TableFacts::query() {
    return fmt::format(runtime_format(QUERY), fmt::arg("schemas", FORMER_SCHEMAS),
                       fmt::arg("read_code", table_code("bus.oid", TableUse::READ)),
                       fmt::arg("written_code", table_code("bus.oid", TableUse::WRITE)),
                       fmt::arg("attachments", table_attachments("bus.oid")));
}

TableFacts TableFacts::read(const PgResult& row, const ServerFacts& server) {
    TableFacts facts;
    facts.database = row.text(0, DATABASE);
    facts.system_identifier = static_cast<uint64_t>(server[ServerFacts::SYSTEM].value_or(0));
    facts.timeline = static_cast<uint32_t>(server[ServerFacts::TIMELINE].value_or(0));
    if (const auto started = server[ServerFacts::STARTED])
        facts.server_started = wall_time(*started);
    facts.is_standby = server[ServerFacts::RECOVERY].value_or(0) > 0;
    facts.sees_locks = server[ServerFacts::LOCKS].has_value();
    facts.sees_snapshots = server[ServerFacts::SNAPSHOT].has_value();
    facts.has_peers = server[ServerFacts::LOCKS].value_or(1) > 0;
    facts.database_oid = static_cast<uint32_t>(row.number(0, DATABASE_OID));
    facts.relation_oid = static_cast<uint32_t>(row.number(0, RELATION_OID));
    facts.table = row.text(0, TABLE);
    facts.sequence = row.text(0, SEQUENCE);
    facts.schema = row.text(0, SCHEMA);
    facts.sequence_oid = static_cast<uint32_t>(row.number(0, SEQUENCE_OID));
    facts.attachments = row.text(0, ATTACHMENTS);
    facts.code_for_writers = row.text(0, WRITTEN_CODE);
    facts.extension_version = row.text(0, EXTENSION);
    facts.extension_schema = row.text(0, EXTENSION_SCHEMA);
    facts.encoding = ServerEncoding(std::string(row.text(0, ENCODING)));
    facts.refusal = refusal_of(facts, row);
    facts.warnings = warnings_of(facts, row);
    return facts;
}

} // namespace odoo_bus
