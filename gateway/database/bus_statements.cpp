// The statements by which a gateway follows one bus_bus.
#include "database/bus_statements.h"

#include "base/format.h"
#include "postgres/table_code.h"

namespace odoo_bus {

namespace {

// Rows are found first, without their content: nothing is detoasted for the length of a text. ORDER BY names
// the table's column: "id" alone would be the output column, an expression that no index orders. A date may
// be infinite, or one that microseconds since 1970 cannot hold.
constexpr const char* FOUND_ROW =
    "bus.id::int8 AS id, bus.channel, bus.message, bus.xmin::text AS xid, "
    "CASE WHEN bus.create_date > timestamp 'epoch' "
    "THEN (extract(epoch FROM least(bus.create_date, timestamp '9999-12-31')) * 1000000)::int8 END AS "
    "created, "
    "coalesce(octet_length(bus.channel), 0)::int8 + coalesce(octet_length(bus.message), 0) AS bytes";

// Then as many of them in their order as fit into a portion, at least one; one above the bound of a row comes
// without content, and costs nothing.
constexpr const char* PORTION = R"(
SELECT id, CASE WHEN bytes <= {max_row_bytes} THEN {channel} END,
       CASE WHEN bytes <= {max_row_bytes} THEN {message} END, xid, created, bytes, found, {more}
FROM (SELECT *, count(*) OVER () AS found, sum(cost) OVER (ORDER BY {order} ROWS UNBOUNDED PRECEDING) AS total
      FROM (SELECT *, CASE WHEN bytes <= {max_row_bytes} THEN bytes ELSE 0 END::int4 AS cost
            FROM ({rows}) AS found_rows) AS priced_rows) AS portioned_rows
WHERE total <= {portion_bytes} OR total = cost
ORDER BY {order})";

// The sequence is read once in a statement, after its snapshot was taken: every id that the snapshot shows
// and the sequence gave out is at or below last_value.
constexpr const char* READ = R"(
    WITH sequence AS MATERIALIZED (SELECT last_value FROM {sequence})
    (SELECT {found_row}, false AS ahead FROM ONLY {table} AS bus
     WHERE bus.id > $1::int8 AND bus.id <= (SELECT last_value FROM sequence) ORDER BY bus.id LIMIT $3::int8)
    UNION ALL
    (SELECT {found_row}, true FROM ONLY {table} AS bus
     WHERE bus.id > greatest($2::int8, (SELECT last_value FROM sequence)) ORDER BY bus.id LIMIT $3::int8))";

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

// Without the look at prepared transactions.
constexpr const char* HOLDERS_WITHOUT_SNAPSHOT = R"(
SELECT DISTINCT virtualtransaction FROM pg_locks WHERE granted AND locktype = 'relation'
AND database = {database} AND relation = {relation} AND mode = 'RowExclusiveLock')";

// All transactions in progress that have written, of all databases: locks cannot be seen.
constexpr const char* HOLDERS_WITHOUT_LOCKS = "SELECT xid FROM pg_snapshot_xip(pg_current_snapshot()) AS xid";

constexpr const char* PROBE = R"(
    SELECT found.* FROM unnest($1::int8[], $2::int8[]) AS range (first, last) CROSS JOIN LATERAL
        (SELECT {found_row} FROM ONLY {table} AS bus WHERE bus.id BETWEEN range.first AND range.last
         ORDER BY bus.id LIMIT $3::int8) AS found
    ORDER BY found.id LIMIT $3::int8)";

// A session that copies, renames or drops a database locks it as a whole, and waits some seconds for others
// to leave.
constexpr const char* CHECK = R"(
SELECT last_value, {quoted_table}::regclass::oid::int8, peers, asked,
       EXISTS (SELECT FROM pg_sequence WHERE seqrelid = {quoted_sequence}::regclass AND seqincrement > 0
               AND seqmin > 0 AND NOT seqcycle AND seqcache = 1)
FROM {sequence}, )";
constexpr const char* SEEN_LOCKS = R"((SELECT
    count(*) FILTER (WHERE locktype = 'advisory' AND database = {database} AND classid::int8 = {peer_lock}
                     AND objid::int8 <> {gateway_key}) AS peers,
    count(*) FILTER (WHERE locktype = 'object' AND database = 0 AND classid = 'pg_database'::regclass
                     AND objid = {database} AND mode IN ('ShareLock', 'AccessExclusiveLock')) AS asked
    FROM pg_locks WHERE granted) AS locks)";
constexpr const char* UNSEEN_LOCKS = "(SELECT 1 AS peers, 0 AS asked) AS locks";

std::string check(const TableFacts& facts) {
    return std::string(CHECK) + (facts.sees_locks ? SEEN_LOCKS : UNSEEN_LOCKS);
}

const char* holders(const TableFacts& facts) {
    return !facts.sees_locks      ? HOLDERS_WITHOUT_LOCKS
           : facts.sees_snapshots ? HOLDERS
                                  : HOLDERS_WITHOUT_SNAPSHOT;
}

// A date in the future counts as now.
constexpr const char* ADOPT = R"(
WITH sequence AS MATERIALIZED (SELECT last_value FROM {sequence}),
newest AS MATERIALIZED (SELECT max(id) AS id FROM ONLY {table} WHERE id <= (SELECT last_value FROM sequence))
SELECT id::int8, bytes, chosen,
       id > (SELECT id FROM newest) - {adopted_rows} AND NOT chosen
       AND create_date > now() AT TIME ZONE 'UTC' - {adopted_us} * interval '1 microsecond'
FROM (SELECT id, create_date, id > (SELECT last_value FROM sequence) AS chosen,
             coalesce(octet_length(channel), 0)::int8 + coalesce(octet_length(message), 0) AS bytes
      FROM ONLY {table} WHERE id > coalesce((SELECT id FROM newest), 0) - {adopted_ids}) AS newest_rows
ORDER BY id LIMIT 2 * {adopted_ids})";

constexpr const char* FETCH = R"(
    SELECT {found_row}, wanted.place FROM unnest($1::int8[]) WITH ORDINALITY AS wanted (id, place)
    JOIN ONLY {table} AS bus ON bus.id = wanted.id)";

constexpr const char* LAST_VALUE = "SELECT last_value FROM {sequence}";

constexpr const char* COMPARE = R"(
    SELECT {found_row} FROM ONLY {table} AS bus WHERE bus.id > $1::int8 AND bus.id <= $2::int8
    ORDER BY bus.id LIMIT {page_rows})";

constexpr const char* REPLAY = R"(
    SELECT {found_row} FROM ONLY {table} AS bus WHERE bus.id > $1::int8 AND bus.channel = ANY ($2::text[])
    ORDER BY bus.id LIMIT {page_rows})";

constexpr const char* EXISTS_ID = "SELECT EXISTS (SELECT FROM ONLY {table} WHERE id = $1::int8)";

// With the lock the table can be no other one, and have no other columns, until the transaction ends.
std::string guarded(const TableFacts& facts) {
    return fmt::format("LOCK TABLE ONLY {} IN ACCESS SHARE MODE; EXECUTE guard; ", facts.table);
}

// Of one table.
class Writer {
public:
    Writer(const TableFacts& facts, uint32_t gateway_key, const StatementBounds& bounds)
        : facts_(facts), gateway_key_(gateway_key), bounds_(bounds) {}

    Statement make(const char* name, const std::string& sql) const {
        return {name, fmt::format(runtime_format(sql.c_str()), fmt::arg("table", facts_.table),
                                  fmt::arg("quoted_table", sql_literal(facts_.table)),
                                  fmt::arg("sequence", facts_.sequence),
                                  fmt::arg("quoted_sequence", sql_literal(facts_.sequence)),
                                  fmt::arg("found_row", FOUND_ROW), fmt::arg("database", facts_.database_oid),
                                  fmt::arg("relation", facts_.relation_oid), fmt::arg("peer_lock", PEER_LOCK),
                                  fmt::arg("gateway_key", gateway_key_), fmt::arg("page_rows", PAGE_ROWS),
                                  fmt::arg("adopted_ids", bounds_.adopted_ids),
                                  fmt::arg("adopted_rows", bounds_.adopted_rows),
                                  fmt::arg("adopted_us", bounds_.adopted_age.count()))};
    }

    // `more`: what a row has besides the columns that all rows have.
    Statement make_rows(const char* name, const char* rows, const char* order, const char* more) const {
        return {name, fmt::format(runtime_format(PORTION), fmt::arg("rows", make(name, rows).sql),
                                  fmt::arg("order", order), fmt::arg("more", more),
                                  fmt::arg("channel", facts_.encoding.expression("channel")),
                                  fmt::arg("message", facts_.encoding.expression("message")),
                                  fmt::arg("max_row_bytes", bounds_.max_row_bytes),
                                  fmt::arg("portion_bytes", PORTION_BYTES))};
    }

private:
    const TableFacts& facts_;
    const uint32_t gateway_key_;
    const StatementBounds& bounds_;
};

} // namespace

std::vector<Statement> statements(const TableFacts& facts, uint32_t gateway_key,
                                  const StatementBounds& bounds) {
    const Writer writer(facts, gateway_key, bounds);
    return {writer.make_rows("read", READ, "ahead, id", "ahead"),
            writer.make("holders", holders(facts)),
            writer.make_rows("probe", PROBE, "id", "NULL"),
            writer.make("check", check(facts)),
            writer.make("adopt", ADOPT),
            writer.make_rows("fetch_rows", FETCH, "place", "place"),
            writer.make("last_value", LAST_VALUE),
            writer.make_rows("compare", COMPARE, "id", "NULL"),
            {"guard", table_guard(facts.seen())}};
}

std::vector<Statement> replay_statements(const TableFacts& facts, uint64_t max_row_bytes) {
    const StatementBounds bounds{.max_row_bytes = max_row_bytes};
    const Writer writer(facts, 0, bounds);
    return {{"begin", fmt::format("BEGIN ISOLATION LEVEL READ COMMITTED, READ ONLY; "
                                  "LOCK TABLE ONLY {} IN ACCESS SHARE MODE; {}",
                                  facts.table, table_guard(facts.seen()))},
            writer.make_rows("replay", REPLAY, "id", "NULL"),
            writer.make("exists", EXISTS_ID)};
}

std::string in_transaction(const std::string& execute) {
    return "SET TRANSACTION READ ONLY; " + execute;
}

std::string on_table(const TableFacts& facts, const std::string& execute) {
    return in_transaction(guarded(facts) + execute);
}

std::string begin_snapshot(const TableFacts& facts) {
    return "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY; " + guarded(facts);
}

} // namespace odoo_bus
