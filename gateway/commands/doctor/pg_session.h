// A connection to PostgreSQL that doctor asks, waiting. Every question is a transaction of its own that can
// only read, so that nothing is changed and no pooler keeps anything of it.
#pragma once

#include <memory>
#include <string>

#include <libpq-fe.h>

#include "postgres/pg_connection.h"

namespace odoo_bus::doctor {

class PgSession {
public:
    explicit PgSession(const std::string& conninfo);

    bool is_open() const { return PQstatus(connection_.get()) == CONNECTION_OK; }
    // One line, when it is not.
    std::string problem() const;

    PgResult ask(const char* sql) const;
    // In a transaction that ends by itself, and may write.
    PgResult write(const char* sql) const;

    // Of the process that the server named at the beginning.
    int pid() const { return PQbackendPID(connection_.get()); }

private:
    std::unique_ptr<PGconn, decltype(&PQfinish)> connection_;
};

} // namespace odoo_bus::doctor
