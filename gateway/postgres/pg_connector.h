// Opens one connection to PostgreSQL on a thread of its own: libpq resolves names, and reads the service and
// password files, while it waits, and one server's name must not hold up the others.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <libpq-fe.h>
#include <uv.h>

namespace odoo_bus {

class PgConnector {
public:
    using Parameters = std::vector<std::pair<std::string, std::string>>; // as for PQconnectStartParams()
    // `connection` is open, and the callee's; or null, for `problem`. Called on the loop's thread, once.
    using OnOpened = std::function<void(PGconn* connection, const std::string& problem)>;

    PgConnector(uv_loop_t* loop, Parameters parameters, OnOpened on_opened);
    // Gives up, if it has not called yet; the thread ends when libpq lets it.
    ~PgConnector();
    // Before the process exits: until no thread is inside libpq any more, or half a second has passed.
    static void await_threads();
    PgConnector(const PgConnector&) = delete;
    PgConnector& operator=(const PgConnector&) = delete;

private:
    struct Attempt;
    std::shared_ptr<Attempt> attempt_;
};

} // namespace odoo_bus
