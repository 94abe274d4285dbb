// One asynchronous connection to PostgreSQL: libpq's state machine on a libuv poll handle.
#include "postgres/pg_connection.h"

#include <algorithm>
#include <charconv>
#include <new>
#include <utility>

#include "base/log.h"
#include "metrics/metrics.h"
#include "postgres/pooler_check.h"

namespace odoo_bus {

namespace {

constexpr std::string_view ADMIN_SHUTDOWN = "57P01";

const metrics::Family
    silent("odoo_bus_silent_connections",
           "Connections to PostgreSQL that have had no answer for 3 s, by what they are for; "
           "that of a database itself is told of by odoo_bus_last_read_age_seconds.",
           metrics::Type::gauge, {"purpose"});

// This session, and the end of the former one if the server still has it. A process may terminate those of
// its own role; the number of one that has ended may be another's by now, which began later.
constexpr const char* REPLACE_SESSION = R"(
SELECT own.pid, own.backend_start::text,
       (SELECT pg_terminate_backend(former.pid) FROM pg_stat_get_activity($1::int4) AS former
        WHERE former.usesysid = own.usesysid AND former.backend_start = $2::timestamptz)
FROM pg_stat_get_activity(pg_backend_pid()) AS own)";

// libpq's messages may have several lines, and end with a newline.
std::string one_line(const char* message) {
    std::string line = message ? message : "";
    while (!line.empty() && line.back() == '\n')
        line.pop_back();
    std::ranges::replace(line, '\n', ' ');
    return line;
}

} // namespace

bool PgResult::ok() const {
    const ExecStatusType status = PQresultStatus(result_.get());
    return status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK;
}

std::string PgResult::error() const {
    return one_line(PQresultErrorMessage(result_.get()));
}

std::string PgResult::sqlstate() const {
    const char* state = PQresultErrorField(result_.get(), PG_DIAG_SQLSTATE);
    return state ? state : "";
}

std::string_view PgResult::text(int row, int column) const {
    return {PQgetvalue(result_.get(), row, column),
            static_cast<size_t>(PQgetlength(result_.get(), row, column))};
}

int64_t PgResult::number(int row, int column) const {
    const std::string_view digits = text(row, column);
    int64_t value = 0;
    std::from_chars(digits.data(), digits.data() + digits.size(), value);
    return value;
}

PgConnection::PgConnection(uv_loop_t* loop, Handlers handlers)
    : loop_(loop), handlers_(std::move(handlers)), deadline_(loop), silence_(loop) {
    if (!handlers_.purpose.empty())
        silent.with({handlers_.purpose}); // 0 is shown, too
}

PgConnection::~PgConnection() {
    close();
}

void PgConnection::open(const std::string& conninfo, uint64_t patience_ms) {
    close();
    conninfo_ = conninfo;
    terminated_ = false;
    // A dead connection must be noticed while it is idle. conninfo overrides what stands before it, and is
    // overridden by what follows.
    PgConnector::Parameters parameters = {{"keepalives_idle", "10"},
                                          {"keepalives_interval", "5"},
                                          {"keepalives_count", "3"},
                                          {"tcp_user_timeout", "20000"},
                                          {"fallback_application_name", "odoo-bus-gateway"},
                                          {"dbname", conninfo},
                                          {"client_encoding", "UTF8"}};
    deadline_.start(patience_ms, [this] { lose("no connection in time"); });
    connector_ = std::make_unique<PgConnector>(
        loop_, std::move(parameters),
        [this](PGconn* connection, const std::string& problem) { opened(connection, problem); });
}

void PgConnection::opened(PGconn* connection, const std::string& problem) {
    connector_.reset();
    if (!connection)
        return lose(one_line(problem.c_str()));
    connection_ = connection;
    PQsetnonblocking(connection_, 1);
    // The reason why an idle connection is ended may come as a notice.
    PQsetNoticeReceiver(
        connection_,
        [](void* self, const PGresult* notice) {
            const char* const state = PQresultErrorField(notice, PG_DIAG_SQLSTATE);
            static_cast<PgConnection*>(self)->terminated_ |= state && state == ADMIN_SHUTDOWN;
        },
        this);
    connected_ = true;
    watch(UV_READABLE);
    check_pooler();
}

void PgConnection::close() {
    deadline_.stop();
    end_silence();
    connector_.reset();
    pooler_check_.reset();
    poll_.close();
    if (last_result_)
        PQclear(last_result_);
    last_result_ = nullptr;
    if (connection_)
        PQfinish(connection_);
    connection_ = nullptr;
    connected_ = asking_ = false;
    requests_.clear();
}

void PgConnection::on_event(int, int) {
    advance();
}

void PgConnection::watch(int events) {
    const int socket = PQsocket(connection_);
    if (!poll_.is_open() || polled_socket_ != socket)
        poll_.open(loop_, socket);
    polled_socket_ = socket;
    poll_.wait_for<&PgConnection::on_event>(events, this);
}

void PgConnection::check_pooler() {
    const auto checked = [this](const std::string& problem) {
        const std::unique_ptr<PoolerCheck> over = std::move(pooler_check_);
        if (!problem.empty())
            return lose(problem);
        deadline_.stop();
        if (!handlers_.bears_pooler)
            replace_session();
        handlers_.on_connected();
    };
    if (handlers_.bears_pooler)
        return checked({});
    pooler_check_ = std::make_unique<PoolerCheck>(loop_, *this, conninfo_, handlers_.use, checked);
}

void PgConnection::replace_session() {
    query(REPLACE_SESSION,
          {session_process_.empty() ? "0" : session_process_,
           session_start_.empty() ? "-infinity" : session_start_},
          [this](const PgResult& result) {
              const bool is_own = result.ok() && result.rows() == 1 && result.number(0, 0) == process();
              session_process_ = is_own ? result.text(0, 0) : "";
              session_start_ = is_own ? result.text(0, 1) : "";
          });
}

void PgConnection::advance() {
    if (PQconsumeInput(connection_) == 0)
        return lose(one_line(PQerrorMessage(connection_)));
    while (asking_ && PQisBusy(connection_) == 0) {
        if (PGresult* result = PQgetResult(connection_)) {
            if (last_result_)
                PQclear(last_result_);
            last_result_ = result;
            continue;
        }
        asking_ = false;
        if (!pooler_check_)
            deadline_.stop();
        end_silence();
        const PgResult result(std::exchange(last_result_, nullptr));
        terminated_ |= result.sqlstate() == ADMIN_SHUTDOWN;
        const OnResult on_result = std::move(requests_.front().on_result);
        requests_.pop_front();
        PGconn* const before = connection_;
        try {
            on_result(result);
        } catch (const std::bad_alloc&) {
            // It ends this work, and not the process. Who has asked asks again on another connection.
            return lose("out of memory");
        }
        if (connection_ != before || !connected_)
            return; // the callback closed the connection
        send_next();
    }
    while (connection_) {
        PGnotify* notify = PQnotifies(connection_);
        if (!notify)
            break;
        const std::string channel = notify->relname, payload = notify->extra;
        PQfreemem(notify);
        handlers_.on_notify(channel, payload);
    }
    if (!connection_)
        return;
    const int flushed = PQflush(connection_);
    if (flushed < 0 || PQstatus(connection_) == CONNECTION_BAD)
        return lose(one_line(PQerrorMessage(connection_)));
    watch(flushed ? UV_READABLE | UV_WRITABLE : UV_READABLE);
}

void PgConnection::query(std::string sql, std::vector<std::string> parameters, OnResult on_result,
                         uint64_t patience_ms) {
    requests_.push_back(
        {Request::QUERY, {}, std::move(sql), std::move(parameters), std::move(on_result), patience_ms});
    send_next();
}

void PgConnection::script(std::string sql, OnResult on_result, uint64_t patience_ms) {
    requests_.push_back({Request::SCRIPT, {}, std::move(sql), {}, std::move(on_result), patience_ms});
    send_next();
}

void PgConnection::prepare(std::string name, std::string sql, OnResult on_result) {
    requests_.push_back(
        {Request::PREPARE, std::move(name), std::move(sql), {}, std::move(on_result), PATIENCE_MS});
    send_next();
}

void PgConnection::execute(std::string name, std::vector<std::string> parameters, OnResult on_result,
                           uint64_t patience_ms) {
    requests_.push_back(
        {Request::EXECUTE, std::move(name), {}, std::move(parameters), std::move(on_result), patience_ms});
    send_next();
}

void PgConnection::send_next() {
    if (!connected_ || asking_ || requests_.empty())
        return;
    const Request& request = requests_.front();
    std::vector<const char*> values;
    for (const std::string& parameter : request.parameters)
        values.push_back(parameter.c_str());
    const int count = static_cast<int>(values.size());
    int sent = 0;
    switch (request.kind) {
    case Request::QUERY:
        sent = PQsendQueryParams(connection_, request.sql.c_str(), count, nullptr, values.data(), nullptr,
                                 nullptr, 0);
        break;
    case Request::SCRIPT:
        sent = PQsendQuery(connection_, request.sql.c_str());
        break;
    case Request::PREPARE:
        sent = PQsendPrepare(connection_, request.name.c_str(), request.sql.c_str(), 0, nullptr);
        break;
    case Request::EXECUTE:
        sent =
            PQsendQueryPrepared(connection_, request.name.c_str(), count, values.data(), nullptr, nullptr, 0);
        break;
    }
    asking_ = true;
    if (!pooler_check_) // which has the time that connecting has
        deadline_.start(request.patience_ms, [this] { expire(); });
    silence_.start(SILENT_MS, [this] { fall_silent(); });
    const int flushed = sent ? PQflush(connection_) : -1;
    if (flushed < 0)
        return lose_soon();
    watch(flushed ? UV_READABLE | UV_WRITABLE : UV_READABLE);
}

// The answer may have come while this process, or its machine, was asleep.
void PgConnection::expire() {
    deadline_.start(0, [this] {
        if (asking_)
            lose("no answer in time");
    });
    advance();
}

void PgConnection::fall_silent() {
    is_silent_ = true;
    if (handlers_.purpose.empty())
        return;
    silent.with({handlers_.purpose}).add(1);
    static log::Limited lines("connections that have fallen silent", 5);
    lines.write(log::Level::warning, "database \"{}\": no answer for {} s on the {} connection",
                PQdb(connection_), SILENT_MS / 1'000, handlers_.purpose);
}

void PgConnection::end_silence() {
    silence_.stop();
    if (std::exchange(is_silent_, false) && !handlers_.purpose.empty())
        silent.with({handlers_.purpose}).add(-1);
}

// Failures are reported from the loop, never from within a call to this class.
void PgConnection::lose_soon() {
    deadline_.start(0,
                    [this] { lose(connection_ ? one_line(PQerrorMessage(connection_)) : "out of memory"); });
}

void PgConnection::lose(std::string reason) {
    close();
    handlers_.on_lost(reason);
}

} // namespace odoo_bus
