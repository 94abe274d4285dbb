// Notices that users have changed.
//
// write_date is when the writing transaction began, so a row may show up with one that is older than others
// that were seen before: each look goes an hour back, and knows what it has seen.
#include "database/user_watch.h"

#include <utility>

#include "base/format.h"
#include "base/log.h"
#include "postgres/table_code.h"

namespace odoo_bus {

namespace {

constexpr std::chrono::seconds INTERVAL(2);

// The table's oid, if it is one on which LOOK runs nothing but PostgreSQL's own code.
constexpr const char* EXAMINE =
    "SELECT c.oid FROM pg_class AS c WHERE c.oid = to_regclass({name}) AND c.relkind = 'r' "
    "AND has_column_privilege(c.oid, 'partner_id', 'SELECT') AND has_column_privilege(c.oid, 'write_date', "
    "'SELECT') "
    "AND NOT row_security_active(c.oid) AND {code} IS NULL "
    "AND 2 = (SELECT count(*) FROM pg_attribute AS a WHERE a.attrelid = c.oid AND NOT a.attisdropped "
    "AND (a.attname = 'partner_id' AND a.atttypid IN (20, 23) OR a.attname = 'write_date' AND a.atttypid = "
    "1114))";

// What is prepared and forgotten locks the table, so that until the transaction ends it stays the one that
// was examined: LOCK TABLE needs a privilege for all columns. A text that is no number is an error.
constexpr const char* LOOK =
    "SET TRANSACTION ISOLATION LEVEL READ COMMITTED, READ ONLY; "
    "PREPARE lock_users AS SELECT FROM ONLY {table}; DEALLOCATE lock_users; "
    "SELECT coalesce(({examine})::text, 'res_users has changed')::int8; "
    "SELECT partner_id, write_date, write_date > (now() AT TIME ZONE 'UTC') - interval '1 minute' "
    "FROM ONLY {table} WHERE partner_id IS NOT NULL AND "
    "write_date > (now() AT TIME ZONE 'UTC') - interval '1 hour' ORDER BY write_date DESC LIMIT 100000";

} // namespace

void UserWatch::start(const std::string& schema) {
    const std::string table = schema + ".res_users";
    const std::string examine = fmt::format(runtime_format(EXAMINE), fmt::arg("name", sql_literal(table)),
                                            fmt::arg("code", table_code("c.oid", TableUse::READ)));
    look_ = fmt::format(runtime_format(LOOK), fmt::arg("table", table), fmt::arg("examine", examine));
    state_ = UNKNOWN;
    asking_ = true;
    connection_.query(examine, {}, [this](const PgResult& result) {
        asking_ = false;
        state_ = result.ok() && result.rows() == 1 ? ALLOWED : DENIED;
        if (state_ == DENIED)
            log::debug("res_users cannot be read: changes of users are seen at the next re-check");
    });
}

void UserWatch::tick(Monotonic now) {
    if (state_ != ALLOWED || asking_ || (asked_ && now - *asked_ < INTERVAL))
        return;
    asked_ = now;
    look();
}

void UserWatch::look() {
    asking_ = true;
    connection_.script(look_, [this](const PgResult& result) {
        asking_ = false;
        if (!result.ok()) {
            state_ = DENIED;
            return;
        }
        std::set<std::string> now;
        std::set<int64_t> partners;
        for (int row = 0; row < result.rows(); ++row) {
            std::string each = std::string(result.text(row, 0)) + " " + std::string(result.text(row, 1));
            // A process that has taken over from another one looks for the first time: the other one, which
            // still has clients, may not know of users that have changed a moment ago.
            if ((complete_ || result.boolean(row, 2)) && !seen_.contains(each))
                partners.insert(result.number(row, 0));
            now.insert(std::move(each));
        }
        seen_ = std::move(now);
        complete_ = true;
        if (!partners.empty())
            changed_(std::move(partners));
    });
}

} // namespace odoo_bus
