// Doctor's connection to PostgreSQL.
#include "commands/doctor/pg_session.h"

#include "commands/doctor/connection_cure.h"

namespace odoo_bus::doctor {

namespace {

PGconn* connect(const std::string& conninfo) {
    // The connection string overrides what precedes it.
    const char* const names[] = {"connect_timeout", "fallback_application_name", "dbname", "client_encoding",
                                 nullptr};
    const char* const values[] = {"5", "odoo-bus-gateway doctor", conninfo.c_str(), "UTF8", nullptr};
    PGconn* const connection = PQconnectdbParams(names, values, 1);
    // libpq tells the SQLSTATE of a refusal only to those who ask for more words, on a connection that is
    // there.
    if (PQstatus(connection) != CONNECTION_OK) {
        PQsetErrorVerbosity(connection, PQERRORS_VERBOSE);
        PQreset(connection);
        PQsetErrorVerbosity(connection, PQERRORS_DEFAULT);
    }
    PQsetNoticeProcessor(
        connection, [](void*, const char*) {}, nullptr);
    return connection;
}

} // namespace

PgSession::PgSession(const std::string& conninfo) : connection_(connect(conninfo), PQfinish) {}

std::string PgSession::problem() const {
    return in_one_line(PQerrorMessage(connection_.get()));
}

std::string PgSession::cure() const {
    const char* const host = PQhost(connection_.get());
    return connection_cure(PQerrorMessage(connection_.get()), host && *host == '/');
}

PgResult PgSession::ask(const char* sql) const {
    return run(pin_transaction(SessionUse::READS), sql, "ROLLBACK");
}

PgResult PgSession::write(const char* sql) const {
    return run(pin_transaction(SessionUse::WRITES), sql, "COMMIT");
}

PgResult PgSession::run(const std::string& pins, const char* sql, const char* end) const {
    PgResult answer(
        PQexec(connection_.get(), ("BEGIN; " + pins + "; SET LOCAL statement_timeout = '10s'").c_str()));
    if (answer.ok())
        answer = PgResult(PQexec(connection_.get(), sql));
    PgResult ended(PQexec(connection_.get(), end));
    return answer.ok() && !ended.ok() ? std::move(ended) : std::move(answer);
}

int64_t PgSession::process() const {
    return PgResult(PQexec(connection_.get(), pin_transaction(SessionUse::READS).c_str())).number(0, 0);
}

} // namespace odoo_bus::doctor
