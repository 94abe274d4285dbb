// The database in which Odoo itself notifies (`postgres`): hears for which databases something is new.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "pg_connection.h"
#include "timer.h"

namespace odoo_bus {

class Hub {
public:
    // `ring`: called with a database's name, or with an empty one when it may be any.
    Hub(uv_loop_t* loop, std::string conninfo, std::function<void(const std::string& database)> ring);

private:
    void connected();
    void lose(const std::string& reason);
    void heard(std::string_view payload);

    const std::string conninfo_;
    const std::function<void(const std::string&)> ring_;
    PgConnection connection_;
    Timer retry_;
    uint64_t retry_ms_ = 0;
    std::string last_problem_; // that was logged
};

} // namespace odoo_bus
