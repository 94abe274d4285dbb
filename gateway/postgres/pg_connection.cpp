// One asynchronous connection to PostgreSQL: libpq's state machine on a libuv poll handle.
#include "postgres/pg_connection.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "postgres/pooler_check.h"

namespace odoo_bus {

namespace {

constexpr std::string_view ADMIN_SHUTDOWN = "57P01";

// libpq's messages may have several lines, and end with a newline.
std::string one_line(const char* message) {
    std::string line = message ? message : "";
    while (!line.empty() && line.back() == '\n')
        line.pop_back();
    std::ranges::replace(line, '\n', ' ');
    return line;
}

template <typename Handle>
void close_handle(Handle* handle) {
    uv_close(reinterpret_cast<uv_handle_t*>(handle),
             [](uv_handle_t* closed) { delete reinterpret_cast<Handle*>(closed); });
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
    : loop_(loop), handlers_(std::move(handlers)), deadline_(new uv_timer_t) {
    uv_timer_init(loop_, deadline_);
    deadline_->data = this;
}

PgConnection::~PgConnection() {
    close();
    close_handle(deadline_);
}

void PgConnection::open(const std::string& conninfo, uint64_t patience_ms) {
    close();
    conninfo_ = conninfo;
    terminated_ = false;
    std::vector<const char*> keywords = {"dbname"}, values = {conninfo.c_str()};
    auto set = [&](const char* keyword, const char* value) {
        keywords.push_back(keyword);
        values.push_back(value);
    };
    // A dead connection must be noticed while it is idle. conninfo overrides the first five keywords, and is
    // overridden by those after it.
    std::vector<const char*> first_keywords = {"keepalives_idle", "keepalives_interval", "keepalives_count",
                                               "tcp_user_timeout", "fallback_application_name"};
    std::vector<const char*> first_values = {"10", "5", "3", "20000", "odoo-bus-gateway"};
    keywords.insert(keywords.begin(), first_keywords.begin(), first_keywords.end());
    values.insert(values.begin(), first_values.begin(), first_values.end());
    set("client_encoding", "UTF8");
    keywords.push_back(nullptr);
    values.push_back(nullptr);

    connection_ = PQconnectStartParams(keywords.data(), values.data(), 1);
    uv_timer_start(
        deadline_,
        [](uv_timer_t* timer) { static_cast<PgConnection*>(timer->data)->lose("no connection in time"); },
        patience_ms, 0);
    if (connection_ == nullptr || PQstatus(connection_) == CONNECTION_BAD) {
        return lose_soon();
    }
    PQsetnonblocking(connection_, 1);
    // The reason why an idle connection is ended may come as a notice.
    PQsetNoticeReceiver(
        connection_,
        [](void* self, const PGresult* notice) {
            const char* const state = PQresultErrorField(notice, PG_DIAG_SQLSTATE);
            static_cast<PgConnection*>(self)->terminated_ |= state && state == ADMIN_SHUTDOWN;
        },
        this);
    watch(UV_WRITABLE);
}

void PgConnection::close() {
    uv_timer_stop(deadline_);
    pooler_check_.reset();
    unwatch();
    if (last_result_)
        PQclear(last_result_);
    last_result_ = nullptr;
    if (connection_)
        PQfinish(connection_);
    connection_ = nullptr;
    connected_ = asking_ = false;
    requests_.clear();
}

void PgConnection::watch(int events) {
    const int socket = PQsocket(connection_);
    if (poll_ && polled_socket_ != socket)
        unwatch();
    if (!poll_) {
        poll_ = new uv_poll_t;
        uv_poll_init(loop_, poll_, socket);
        poll_->data = this;
        polled_socket_ = socket;
    }
    uv_poll_start(poll_, events, [](uv_poll_t* poll, int, int) {
        auto* self = static_cast<PgConnection*>(poll->data);
        self->connected_ ? self->advance() : self->advance_connecting();
    });
}

void PgConnection::unwatch() {
    if (!poll_)
        return;
    uv_poll_stop(poll_);
    close_handle(poll_);
    poll_ = nullptr;
    polled_socket_ = -1;
}

void PgConnection::advance_connecting() {
    switch (PQconnectPoll(connection_)) {
    case PGRES_POLLING_READING:
        return watch(UV_READABLE);
    case PGRES_POLLING_WRITING:
        return watch(UV_WRITABLE);
    case PGRES_POLLING_OK:
        connected_ = true;
        watch(UV_READABLE);
        return check_pooler();
    default:
        return lose(one_line(PQerrorMessage(connection_)));
    }
}

void PgConnection::check_pooler() {
    const auto checked = [this](const std::string& problem) {
        const std::unique_ptr<PoolerCheck> over = std::move(pooler_check_);
        if (!problem.empty())
            return lose(problem);
        uv_timer_stop(deadline_);
        handlers_.on_connected();
    };
    if (handlers_.bears_pooler)
        return checked({});
    pooler_check_ = std::make_unique<PoolerCheck>(loop_, *this, conninfo_, handlers_.use, checked);
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
        const PgResult result(std::exchange(last_result_, nullptr));
        terminated_ |= result.sqlstate() == ADMIN_SHUTDOWN;
        const OnResult on_result = std::move(requests_.front().on_result);
        requests_.pop_front();
        PGconn* const before = connection_;
        on_result(result);
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

void PgConnection::query(std::string sql, std::vector<std::string> parameters, OnResult on_result) {
    requests_.push_back({Request::QUERY, {}, std::move(sql), std::move(parameters), std::move(on_result)});
    send_next();
}

void PgConnection::script(std::string sql, OnResult on_result) {
    requests_.push_back({Request::SCRIPT, {}, std::move(sql), {}, std::move(on_result)});
    send_next();
}

void PgConnection::prepare(std::string name, std::string sql, OnResult on_result) {
    requests_.push_back({Request::PREPARE, std::move(name), std::move(sql), {}, std::move(on_result)});
    send_next();
}

void PgConnection::execute(std::string name, std::vector<std::string> parameters, OnResult on_result) {
    requests_.push_back({Request::EXECUTE, std::move(name), {}, std::move(parameters), std::move(on_result)});
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
    const int flushed = sent ? PQflush(connection_) : -1;
    if (flushed < 0)
        return lose_soon();
    watch(flushed ? UV_READABLE | UV_WRITABLE : UV_READABLE);
}

// Failures are reported from the loop, never from within a call to this class.
void PgConnection::lose_soon() {
    uv_timer_start(
        deadline_,
        [](uv_timer_t* timer) {
            auto* self = static_cast<PgConnection*>(timer->data);
            self->lose(self->connection_ ? one_line(PQerrorMessage(self->connection_)) : "out of memory");
        },
        0, 0);
}

void PgConnection::lose(std::string reason) {
    close();
    handlers_.on_lost(reason);
}

} // namespace odoo_bus
