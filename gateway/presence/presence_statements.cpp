// The statements on bus_presence and bus_presence_gateway. All of them run under the locks of
// begin_presence(), each with a snapshot that is younger than the lock.
#include "presence/presence_statements.h"

#include "base/format.h"

namespace odoo_bus {

namespace {

constexpr const char* FIND = R"(
SELECT quote_ident(n.nspname), quote_ident(n.nspname) || '.' || wanted.name, c.oid::int8, {attachments},
       CASE WHEN c.relkind <> 'r' THEN 'it is no ordinary table' ELSE {code} END
FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace
CROSS JOIN (VALUES {tables}) AS wanted (name)
LEFT JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = wanted.name
WHERE e.extname = 'odoo_bus')";

// No row: others have taken this gateway for dead, or the table was emptied by a crash.
constexpr const char* BEAT = R"(
UPDATE {schema}.bus_presence_gateway SET expires = clock_timestamp() + $2::float8 * interval '1 second'
WHERE gateway = $1::text AND expires > clock_timestamp()
RETURNING CASE WHEN $3::bool
    THEN (SELECT count(*) FROM {schema}.bus_presence AS p WHERE p.gateway = $1::text) END)";

constexpr const char* ENLIST = R"(
INSERT INTO {schema}.bus_presence_gateway AS g (gateway, expires, begun)
SELECT $1::text, clock_timestamp() + $2::float8 * interval '1 second',
       coalesce((SELECT min(begun) FROM {schema}.bus_presence_gateway), clock_timestamp())
ON CONFLICT (gateway) DO UPDATE SET expires = excluded.expires RETURNING g.begun::text)";

constexpr const char* OWN = "SELECT channel, member FROM {schema}.bus_presence WHERE gateway = $1::text";

// A member that has a row of another gateway has been announced, and is still present. That gateway may be
// dead: then the member leaves when the row expires.
constexpr const char* CHANGE = R"(
WITH gone AS (
    DELETE FROM {schema}.bus_presence AS p USING unnest($2::text[], $3::text[]) AS leave (channel, member)
    WHERE p.gateway = $1::text AND p.channel = leave.channel AND p.member = leave.member
    RETURNING p.channel, p.member),
came AS (
    INSERT INTO {schema}.bus_presence (channel, member, gateway, since)
    SELECT channel, member, $1::text, clock_timestamp() FROM unnest($4::text[], $5::text[]) AS j (channel, member)
    ON CONFLICT DO NOTHING RETURNING channel, member),
news AS (
    SELECT 'leave' AS event, channel, member FROM gone
    UNION ALL
    SELECT 'join', channel, member
    FROM came JOIN unnest($4::text[], $5::text[], $6::bool[]) AS j (channel, member, quiet) USING (channel, member)
    WHERE NOT quiet)
{tell} WHERE NOT EXISTS (SELECT FROM {schema}.bus_presence AS other WHERE other.channel = news.channel
                         AND other.member = news.member AND other.gateway <> $1::text)
HAVING count(*) > 0)";

// A part of the rows of gateways that live no more.
constexpr const char* EXPIRE = R"(
WITH gone AS (
    DELETE FROM {schema}.bus_presence WHERE ctid = ANY (ARRAY(
        SELECT p.ctid FROM {schema}.bus_presence AS p JOIN {schema}.bus_presence_gateway AS g USING (gateway)
        WHERE gateway <> $1::text AND g.expires <= clock_timestamp() LIMIT $2::int8))
    RETURNING channel, member, gateway),
news AS (SELECT DISTINCT 'leave' AS event, channel, member FROM gone),
told AS ({tell} WHERE NOT EXISTS (
    SELECT FROM {schema}.bus_presence AS other WHERE other.channel = news.channel AND other.member = news.member
    AND NOT EXISTS (SELECT FROM gone WHERE gone.channel = other.channel AND gone.member = other.member
                    AND gone.gateway = other.gateway)) HAVING count(*) > 0)
SELECT (SELECT count(*) FROM gone), (SELECT sent FROM told))";

constexpr const char* CLEAN = R"(
DELETE FROM {schema}.bus_presence_gateway AS g WHERE gateway <> $1::text AND expires <= clock_timestamp()
AND NOT EXISTS (SELECT FROM {schema}.bus_presence AS p WHERE p.gateway = g.gateway))";

// A channel as it is stored names its database first; bus_sendmany() wants what follows.
constexpr const char* SEND = R"(
SELECT {schema}.bus_sendmany(jsonb_agg(jsonb_build_array(
    CASE jsonb_array_length(channel::jsonb) WHEN 2 THEN channel::jsonb -> 1 ELSE channel::jsonb - 0 END,
    'presence', jsonb_build_object('event', event, 'member', member)) ORDER BY event DESC, channel, member))
AS sent FROM news)";

constexpr const char* KEEP_QUIET = "SELECT count(*) AS sent FROM news";

} // namespace

std::string find_presence_tables(bool notify) {
    return fmt::format(runtime_format(FIND), fmt::arg("attachments", table_attachments("c.oid")),
                       fmt::arg("code", table_code("c.oid", TableUse::WRITE)),
                       fmt::arg("tables", notify ? "('bus_presence_gateway'), ('bus_presence'), ('bus_bus')"
                                                 : "('bus_presence_gateway'), ('bus_presence')"));
}

// The numbers are "imbu", and 2; 1 is the relay's (hub.cpp).
std::string begin_presence(const std::string& schema) {
    return fmt::format("BEGIN ISOLATION LEVEL READ COMMITTED, READ WRITE; "
                       "SELECT pg_advisory_xact_lock(1768776309, 2); "
                       "LOCK TABLE ONLY {0}.bus_presence_gateway, ONLY {0}.bus_presence "
                       "IN SHARE UPDATE EXCLUSIVE MODE",
                       schema);
}

std::string execute_presence(const std::string& schema, const std::string& name,
                             const std::vector<std::string>& parameters, bool notifies) {
    std::string message;
    if (notifies)
        message = fmt::format("LOCK TABLE ONLY {}.bus_bus IN ROW EXCLUSIVE MODE; ", schema);
    message += "EXECUTE guard; EXECUTE " + name + " (";
    for (const std::string& parameter : parameters)
        message += (&parameter == &parameters.front() ? "" : ", ") + sql_literal(parameter);
    return message + ")";
}

std::vector<Statement> presence_statements(const std::string& schema, bool notify,
                                           const std::vector<SeenTable>& tables) {
    const std::string tell =
        fmt::format(runtime_format(notify ? SEND : KEEP_QUIET), fmt::arg("schema", schema));
    const auto make = [&](const char* name, const char* sql) {
        return Statement{
            name, fmt::format(runtime_format(sql), fmt::arg("schema", schema), fmt::arg("tell", tell))};
    };
    return {make("beat", BEAT),
            make("enlist", ENLIST),
            make("own", OWN),
            make("change", CHANGE),
            make("expire", EXPIRE),
            make("clean", CLEAN),
            {"guard", table_guard(tables)}};
}

} // namespace odoo_bus
