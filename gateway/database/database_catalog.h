// The databases of a server: a connection to the one in which Odoo notifies, and a look at the catalogue once
// a second.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/timer.h"
#include "config/database_pattern.h"
#include "postgres/pg_connection.h"
#include "postgres/reconnect.h"

namespace odoo_bus {

class DatabaseCatalog {
public:
    struct Found {
        std::string name;
        bool open; // it accepts connections, and from this role, too
    };

    struct Handlers {
        // All that match, each time that they were looked up.
        std::function<void(const std::vector<Found>&)> found;
        std::function<void()> lost; // they cannot be looked up now
    };

    DatabaseCatalog(uv_loop_t* loop, std::string conninfo, DatabasePattern pattern, Handlers handlers);

private:
    void look();
    void lose(const std::string& reason);

    const std::string conninfo_;
    const DatabasePattern pattern_;
    const Handlers handlers_;
    PgConnection connection_;
    Timer next_;
    Reconnect reconnect_;
};

} // namespace odoo_bus
