// The statements by which a gateway follows one bus_bus.
#include "database/bus_statements.h"

#include "base/format.h"

namespace odoo_bus {

namespace {

// ORDER BY names the table's column: "id" alone would be the output column, an expression that no index
// orders.
//
// The sequence is read once in a statement, after its snapshot was taken: every id that the snapshot shows
// and the sequence gave out is at or below last_value.
constexpr const char* READ = R"(
WITH sequence AS MATERIALIZED (SELECT last_value FROM {sequence})
(SELECT {columns}, false FROM {table} AS bus WHERE id > $1::int8 AND id <= (SELECT last_value FROM sequence)
 ORDER BY bus.id LIMIT $3::int8)
UNION ALL
(SELECT {columns}, true FROM {table} AS bus WHERE id > greatest($2::int8, (SELECT last_value FROM sequence))
 ORDER BY bus.id LIMIT $3::int8))";

// A transaction that becomes visible has lost its name by then, except a prepared one (its locks have no
// pid): that keeps it until it has released them, and is compared with the snapshot instead, by the lowest
// of its transaction ids, with the upper half that brings it nearest to the snapshot's. One without an id
// is just releasing its locks.
constexpr const char* HOLDERS = R"(
SELECT virtualtransaction FROM (
    SELECT virtualtransaction, bool_or(relation IS NOT NULL) AS holds,
           bool_or(relation IS NOT NULL AND pid IS NULL) AS prepared,
           min(next - (((next - transactionid::text::int8 + 2147483648) & 4294967295) - 2147483648)) AS xid
    FROM pg_locks, (SELECT pg_snapshot_xmax(pg_current_snapshot())::text::int8 AS next) AS snapshot
    WHERE granted AND (locktype = 'relation' AND database = {database} AND relation = {relation}
                           AND mode = 'RowExclusiveLock'
                       OR locktype = 'transactionid' AND mode = 'ExclusiveLock')
    GROUP BY virtualtransaction) AS locks
WHERE holds AND NOT (prepared AND coalesce(pg_visible_in_snapshot(xid::text::xid8, pg_current_snapshot()), true))
)";

constexpr const char* PROBE = R"(
SELECT found.* FROM unnest($1::int8[], $2::int8[]) AS range (first, last) CROSS JOIN LATERAL
    (SELECT {columns} FROM {table} AS bus WHERE id BETWEEN range.first AND range.last
     ORDER BY bus.id LIMIT $3::int8) AS found
ORDER BY 1 LIMIT $3::int8)";

// A session that copies, renames or drops a database locks it as a whole, and waits some seconds for others
// to leave.
constexpr const char* CHECK = R"(
SELECT last_value, {quoted_table}::regclass::oid::int8, peers, asked
FROM {sequence}, (SELECT
    count(*) FILTER (WHERE locktype = 'advisory' AND database = {database} AND classid::int8 = {peer_lock}
                     AND objid::int8 <> {gateway_key}) AS peers,
    count(*) FILTER (WHERE locktype = 'object' AND database = 0 AND classid = 'pg_database'::regclass
                     AND objid = {database} AND mode IN ('ShareLock', 'AccessExclusiveLock')) AS asked
    FROM pg_locks WHERE granted) AS locks)";

constexpr const char* ADOPT = R"(
WITH sequence AS MATERIALIZED (SELECT last_value FROM {sequence}),
newest AS MATERIALIZED (SELECT max(id) AS id FROM {table} WHERE id <= (SELECT last_value FROM sequence))
SELECT id::int8, CASE WHEN kept THEN channel END, CASE WHEN kept THEN message END, xmin,
       {created}, chosen
FROM (SELECT id, channel, message, xmin::text, create_date, id > (SELECT last_value FROM sequence) AS chosen,
             id > (SELECT id FROM newest) - {adopted_rows} AND id <= (SELECT last_value FROM sequence)
             AND create_date > now() AT TIME ZONE 'UTC' - {adopted_us} * interval '1 microsecond' AS kept
      FROM {table} WHERE id > coalesce((SELECT id FROM newest), 0) - {adopted_ids}) AS newest_rows
ORDER BY id LIMIT 2 * {adopted_ids})";

constexpr const char* RESTORE = "SELECT {columns} FROM {table} WHERE id = ANY ($1::int8[])";

constexpr const char* COMPARE = R"(
SELECT NULL, NULL, NULL, NULL, NULL, last_value FROM {sequence} UNION ALL
(SELECT {columns}, NULL FROM {table} AS bus WHERE id > $1::int8 AND id <= $2::int8 ORDER BY bus.id))";

// In microseconds. The writer may have chosen an infinite date, or one that 64 bits cannot hold.
constexpr const char* CREATED =
    "(extract(epoch FROM least(greatest(create_date, timestamp '1970-01-01'), timestamp '9999-12-31')) * "
    "1000000)::int8";

std::string literal(const std::string& text) {
    std::string quoted = "'";
    for (const char c : text)
        quoted.append(c == '\'' ? 2 : 1, c);
    return quoted + "'";
}

} // namespace

std::vector<Statement> statements(const TableFacts& facts, uint32_t gateway_key,
                                  const StatementBounds& bounds) {
    const auto make = [&](const char* name, const char* sql) {
        return Statement{
            name, fmt::format(
                      runtime_format(sql), fmt::arg("table", facts.table),
                      fmt::arg("quoted_table", literal(facts.table)), fmt::arg("sequence", facts.sequence),
                      fmt::arg("columns", std::string("id::int8, channel, message, xmin::text, ") + CREATED),
                      fmt::arg("created", CREATED), fmt::arg("database", facts.database_oid),
                      fmt::arg("relation", facts.relation_oid), fmt::arg("peer_lock", PEER_LOCK),
                      fmt::arg("gateway_key", gateway_key), fmt::arg("adopted_ids", bounds.adopted_ids),
                      fmt::arg("adopted_rows", bounds.adopted_rows),
                      fmt::arg("adopted_us", bounds.adopted_age.count()))};
    };
    return {make("read", READ),   make("holders", HOLDERS), make("probe", PROBE),    make("check", CHECK),
            make("adopt", ADOPT), make("restore", RESTORE), make("compare", COMPARE)};
}

} // namespace odoo_bus
