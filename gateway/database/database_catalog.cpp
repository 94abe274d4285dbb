// The databases of a server.
#include "database/database_catalog.h"

#include "base/log.h"

namespace odoo_bus {

namespace {

constexpr uint64_t INTERVAL_MS = 1000;

// A database whose DROP was interrupted has a limit of -2.
constexpr const char* LOOK = "SELECT datname, datallowconn AND datconnlimit <> -2 AND "
                             "coalesce(pg_catalog.has_database_privilege(oid, 'CONNECT'), false) "
                             "FROM pg_catalog.pg_database WHERE NOT datistemplate ORDER BY datname";

} // namespace

DatabaseCatalog::DatabaseCatalog(uv_loop_t* loop, std::string conninfo, DatabasePattern pattern,
                                 Handlers handlers)
    : conninfo_(std::move(conninfo)), pattern_(std::move(pattern)), handlers_(std::move(handlers)),
      connection_(loop, {.on_connected = [this] { look(); },
                         .on_lost = [this](const std::string& reason) { lose(reason); },
                         .on_notify = [](std::string_view, std::string_view) {},
                         .purpose = "catalog"}),
      next_(loop), reconnect_(loop, [this] { connection_.open(conninfo_); }) {
    connection_.open(conninfo_);
}

void DatabaseCatalog::look() {
    connection_.query(LOOK, {}, [this](const PgResult& result) {
        if (!result.ok())
            return lose(result.error());
        reconnect_.succeeded();
        std::vector<Found> found;
        for (int row = 0; row < result.rows(); ++row)
            if (std::string name(result.text(row, 0)); pattern_.matches(name))
                found.push_back({std::move(name), result.boolean(row, 1)});
        next_.start(INTERVAL_MS, [this] { look(); });
        handlers_.found(found);
    });
}

void DatabaseCatalog::lose(const std::string& reason) {
    connection_.close();
    next_.stop();
    handlers_.lost();
    if (reconnect_.lost(reason))
        log::warning("the list of databases: {}; trying again, until then new ones are not found", reason);
}

} // namespace odoo_bus
