// Notices that users have changed (a password, their groups, archived) by res_users.write_date, where the
// gateway may read it.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>

#include "base/clock.h"
#include "postgres/pg_connection.h"

namespace odoo_bus {

class UserWatch {
public:
    // `changed`: the partners of users whose row was written.
    UserWatch(PgConnection& connection, std::function<void(std::set<int64_t> partners)> changed)
        : connection_(connection), changed_(std::move(changed)) {}

    // The connection is new. `schema`: of bus_bus, quoted.
    void start(const std::string& schema);
    // About once a second, while the connection is open.
    void tick(Monotonic now);

private:
    void look();

    PgConnection& connection_;
    const std::function<void(std::set<int64_t>)> changed_;
    std::string look_; // the statements of a look
    enum { UNKNOWN, ALLOWED, DENIED } state_ = UNKNOWN;
    bool asking_ = false;
    bool complete_ = false; // seen_ is what was there: what is not in it is new
    std::optional<Monotonic> asked_;
    std::set<std::string> seen_; // of the newest: partner and write_date
};

} // namespace odoo_bus
