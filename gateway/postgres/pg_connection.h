// One asynchronous connection to PostgreSQL on a libuv loop: connects, pins the session's settings
// (session_settings.h), asks one query after the other, hears NOTIFYs.
//
// A session that is left without its end being heard may go on in the server for hours, with its locks and
// its transaction: the next one of the same connection terminates it.
//
// All callbacks run on the loop's thread and never from within a call of ours, except that close() drops the
// queries that are still waiting without calling back. After on_lost() the connection is closed and may be
// opened again.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <libpq-fe.h>
#include <uv.h>

#include "base/socket_poll.h"
#include "base/timer.h"
#include "postgres/pg_connector.h"
#include "postgres/session_settings.h"

namespace odoo_bus {

// An answer: rows of text values, as PostgreSQL prints them in UTF-8.
class PgResult {
public:
    explicit PgResult(PGresult* result) : result_(result, PQclear) {}

    bool ok() const;
    std::string error() const;    // one line
    std::string sqlstate() const; // "" when there is none
    int rows() const { return PQntuples(result_.get()); }
    bool is_null(int row, int column) const { return PQgetisnull(result_.get(), row, column) == 1; }
    std::string_view text(int row, int column) const;
    int64_t number(int row, int column) const; // 0 for NULL
    bool boolean(int row, int column) const { return text(row, column) == "t"; }

private:
    std::unique_ptr<PGresult, decltype(&PQclear)> result_;
};

class PoolerCheck;

class PgConnection {
public:
    using OnResult = std::function<void(const PgResult&)>;

    // How long a statement may take, in milliseconds. A connection that does not answer in time is lost:
    // behind it may be a backend that hangs, or nothing any more.
    static constexpr uint64_t PATIENCE_MS = 10'000;
    // For statements that read much, at a start or for a client that was long away.
    static constexpr uint64_t LONG_PATIENCE_MS = 60'000;
    // A statement that has had no answer for so long is told of, in milliseconds.
    static constexpr uint64_t SILENT_MS = 3'000;

    struct Handlers {
        std::function<void()> on_connected;
        std::function<void(const std::string& reason)> on_lost;
        std::function<void(std::string_view channel, std::string_view payload)> on_notify;
        // No query needs the same backend for longer than a statement. Otherwise a pooler that gives the
        // backend away is a reason to lose the connection.
        bool bears_pooler = false;
        SessionUse use = SessionUse::READS;
        // What the connection is for, in one word, by which its silence is told of. Empty: the owner tells.
        std::string purpose = {};
    };

    PgConnection(uv_loop_t* loop, Handlers handlers);
    ~PgConnection();
    PgConnection(const PgConnection&) = delete;
    PgConnection& operator=(const PgConnection&) = delete;

    // `conninfo`: libpq's string or URI. Gives up when there is no connection within `patience_ms`,
    // milliseconds.
    void open(const std::string& conninfo, uint64_t patience_ms = 10'000);
    void close();
    // The last connection was ended by an administrator: pg_terminate_backend(), or a server that stops.
    bool was_terminated() const { return terminated_; }
    bool is_open() const { return connected_ && !pooler_check_; }
    // A statement has had no answer for SILENT_MS.
    bool is_silent() const { return is_silent_; }
    // The backend's process id, as it was reported at the beginning; a pooler reports one of its own.
    int64_t process() const { return PQbackendPID(connection_); }

    // Parameters are text; NULL cannot be passed.
    void query(std::string sql, std::vector<std::string> parameters, OnResult on_result,
               uint64_t patience_ms = PATIENCE_MS);
    // Several statements, without parameters, in one message. The result is that of the last one, or the
    // first error.
    void script(std::string sql, OnResult on_result, uint64_t patience_ms = PATIENCE_MS);
    // Prepares a statement, to be executed by its name.
    void prepare(std::string name, std::string sql, OnResult on_result);
    void execute(std::string name, std::vector<std::string> parameters, OnResult on_result,
                 uint64_t patience_ms = PATIENCE_MS);

private:
    struct Request {
        enum Kind { QUERY, SCRIPT, PREPARE, EXECUTE } kind;
        std::string name; // of the statement
        std::string sql;
        std::vector<std::string> parameters;
        OnResult on_result;
        uint64_t patience_ms;
    };

    void watch(int events);
    void on_event(int status, int events);
    void opened(PGconn* connection, const std::string& problem);
    void check_pooler();
    void replace_session();
    void advance();
    void send_next();
    void expire();
    void fall_silent();
    void end_silence();
    void lose_soon();
    void lose(std::string reason);

    uv_loop_t* loop_;
    Handlers handlers_;
    std::string conninfo_;
    std::unique_ptr<PgConnector> connector_; // while it connects
    PGconn* connection_ = nullptr;
    std::unique_ptr<PoolerCheck> pooler_check_; // until on_connected()
    SocketPoll poll_;
    int polled_socket_ = -1;
    Timer deadline_; // of connecting, and then of the statement that is being asked
    Timer silence_;  // of that statement
    bool is_silent_ = false;
    bool connected_ = false;
    bool asking_ = false;
    bool terminated_ = false;
    std::deque<Request> requests_; // the first one is being asked when asking_
    PGresult* last_result_ = nullptr;
    // The session that was begun last: its process and when that began. Empty behind a pooler.
    std::string session_process_, session_start_;
};

} // namespace odoo_bus
