// Notices that users have changed.
//
// write_date is when the writing transaction began, so a row may show up with one that is older than others
// that were seen before: each look goes an hour back, and knows what it has seen.
#include "database/user_watch.h"

#include <utility>

#include "base/log.h"

namespace odoo_bus {

namespace {

constexpr std::chrono::seconds INTERVAL(2);

constexpr const char* MAY = "SELECT has_column_privilege('res_users', 'partner_id', 'SELECT') AND "
                            "has_column_privilege('res_users', 'write_date', 'SELECT')";
constexpr const char* LOOK =
    "SELECT partner_id, write_date, write_date > (now() AT TIME ZONE 'UTC') - interval '1 minute' "
    "FROM res_users WHERE partner_id IS NOT NULL AND "
    "write_date > (now() AT TIME ZONE 'UTC') - interval '1 hour' ORDER BY write_date DESC LIMIT 100000";

} // namespace

void UserWatch::start() {
    state_ = UNKNOWN;
    asking_ = true;
    connection_.query(MAY, {}, [this](const PgResult& result) {
        asking_ = false;
        state_ = result.ok() && result.rows() == 1 && result.boolean(0, 0) ? ALLOWED : DENIED;
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
    connection_.query(LOOK, {}, [this](const PgResult& result) {
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
