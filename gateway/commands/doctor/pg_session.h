// Doctor's connection to PostgreSQL; its calls block. Each query is a transaction of its own, with the
// settings of session_settings.h: nothing is changed, and a pooler keeps no state of it.
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
    // Why it is not open, in one line.
    std::string problem() const;
    // What mends that.
    std::string cure() const;

    PgResult ask(const char* sql) const;
    // The only one that may write.
    PgResult write(const char* sql) const;

    // The process id that the server sent when the session began, and the one that answers.
    int pid() const { return PQbackendPID(connection_.get()); }
    int64_t process() const;

private:
    PgResult run(const std::string& pins, const char* sql, const char* end) const;

    std::unique_ptr<PGconn, decltype(&PQfinish)> connection_;
};

} // namespace odoo_bus::doctor
