// The connecting thread: see pg_connector.h.
#include "postgres/pg_connector.h"

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include <poll.h>

namespace odoo_bus {

namespace {

// How long it takes at most until a given-up attempt is noticed.
constexpr int LOOK_MS = 200;
constexpr std::chrono::milliseconds EXIT_PATIENCE(500);

// The threads that have not ended. Never destroyed: one that waits for a name server may outlive main().
struct Threads {
    std::mutex mutex;
    std::condition_variable ended;
    unsigned count = 0;

    void add(unsigned number) {
        const std::lock_guard lock(mutex);
        count += number;
        ended.notify_all();
    }
};

Threads& threads() {
    static auto* const all = new Threads;
    return *all;
}

} // namespace

// Shared by the thread and the loop.
struct PgConnector::Attempt {
    Parameters parameters;
    OnOpened on_opened;

    std::mutex mutex; // of what follows
    bool is_given_up = false;
    PGconn* connection = nullptr;
    std::string problem;
    uv_async_t* over = nullptr; // to be sent while it is not given up

    ~Attempt() {
        if (connection)
            PQfinish(connection);
    }

    bool is_wanted() {
        const std::lock_guard lock(mutex);
        return !is_given_up;
    }
    void connect();
    void finish(PGconn* opened, std::string why);
};

void PgConnector::Attempt::connect() {
    std::vector<const char*> keywords, values;
    for (const auto& [keyword, value] : parameters) {
        keywords.push_back(keyword.c_str());
        values.push_back(value.c_str());
    }
    keywords.push_back(nullptr);
    values.push_back(nullptr);
    PGconn* const opened = PQconnectStartParams(keywords.data(), values.data(), 1);
    if (!opened)
        return finish(nullptr, "out of memory");
    PostgresPollingStatusType status = PGRES_POLLING_WRITING;
    while (PQstatus(opened) != CONNECTION_BAD && status != PGRES_POLLING_OK &&
           status != PGRES_POLLING_FAILED && is_wanted()) {
        pollfd socket = {.fd = PQsocket(opened),
                         .events = static_cast<short>(status == PGRES_POLLING_READING ? POLLIN : POLLOUT),
                         .revents = 0};
        if (poll(&socket, 1, LOOK_MS) > 0)
            status = PQconnectPoll(opened);
    }
    if (status == PGRES_POLLING_OK)
        return finish(opened, {});
    std::string why = PQerrorMessage(opened);
    PQfinish(opened);
    finish(nullptr, std::move(why));
}

void PgConnector::Attempt::finish(PGconn* opened, std::string why) {
    const std::lock_guard lock(mutex);
    connection = opened;
    problem = std::move(why);
    if (!is_given_up)
        uv_async_send(over);
}

PgConnector::PgConnector(uv_loop_t* loop, Parameters parameters, OnOpened on_opened)
    : attempt_(std::make_shared<Attempt>()) {
    attempt_->parameters = std::move(parameters);
    attempt_->on_opened = std::move(on_opened);
    attempt_->over = new uv_async_t;
    attempt_->over->data = attempt_.get();
    uv_async_init(loop, attempt_->over, [](uv_async_t* over) {
        auto* const attempt = static_cast<Attempt*>(over->data);
        PGconn* opened;
        std::string problem;
        {
            const std::lock_guard lock(attempt->mutex);
            opened = std::exchange(attempt->connection, nullptr);
            problem = attempt->problem;
        }
        const OnOpened call = std::move(attempt->on_opened);
        call(opened, problem); // may delete the connector
    });
    threads().add(1);
    std::thread([attempt = attempt_]() mutable {
        attempt->connect();
        attempt.reset();
        threads().add(-1u);
    }).detach();
}

void PgConnector::await_threads() {
    std::unique_lock lock(threads().mutex);
    threads().ended.wait_for(lock, EXIT_PATIENCE, [] { return threads().count == 0; });
}

PgConnector::~PgConnector() {
    const std::lock_guard lock(attempt_->mutex);
    attempt_->is_given_up = true;
    uv_close(reinterpret_cast<uv_handle_t*>(attempt_->over),
             [](uv_handle_t* handle) { delete reinterpret_cast<uv_async_t*>(handle); });
}

} // namespace odoo_bus
