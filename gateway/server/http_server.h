// The thread that accepts connections: reads and validates their request heads, answers what needs no service
// thread, and hands the others over to one.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "auth/auth_backend.h"
#include "base/loop.h"
#include "base/timer.h"
#include "base/token_bucket.h"
#include "config/options.h"
#include "http/address_limits.h"
#include "http/admission.h"
#include "http/http_connection.h"
#include "http/listening_sockets.h"
#include "http/memory_account.h"
#include "server/memory_ceiling.h"
#include "server/odoo_proxy.h"

namespace odoo_bus {

class HttpServer {
public:
    struct Surroundings {
        std::string gateway_id;
        std::function<void(Admission)> admit; // takes over the socket
        std::function<size_t()> connections;  // that are admitted now
        MemoryAccounts& accounts;             // of what is held for clients
        MemoryCeiling& memory;
        std::function<std::string()> unavailable; // empty, or why no database can be served
        AuthBackend& authorizers;
    };

    HttpServer(const Options& options, Surroundings surroundings);
    ~HttpServer();

    // Empty, or one sentence why it cannot listen where the options say.
    std::string listen(GivenSockets& given);
    void start();
    // Another process accepts at the same sockets. Connections that were accepted here are served here.
    void stop_accepting();
    // False when it will accept no connection any more.
    bool accepts() const { return !listeners_.were_handed_over(); }
    // Connections that were accepted and are neither admitted nor over.
    size_t connections() const { return connection_count_; }
    const std::vector<ListeningSocket>& sockets() const {
        return listeners_.sockets();
    } // listen() to start()
    // Accepts no more, and ends the thread; waits for it.
    void stop();
    void reconfigure(const Options& options);
    // Runs a task on its thread.
    void post(Loop::Task task) { loop_.post(std::move(task)); }
    // From any thread: the budget of the accounts is exceeded.
    void lower_memory();
    // From any thread: ends connections of accounts that exceed.
    void shed();
    uint64_t max_connections() const { return max_connections_.load(std::memory_order_relaxed); }

private:
    void accept(int listener);
    void on_event(HttpConnection& connection);
    Response route(HttpConnection& connection);
    // One for each path. They return the answer, which is ignored when the connection is over.
    Response serve_websocket(HttpConnection& connection);
    Response serve_health(HttpConnection& connection);
    Response serve_events(HttpConnection& connection);
    Response serve_poll(HttpConnection& connection);
    Response serve_peek(HttpConnection& connection);
    Response serve_script(HttpConnection& connection);
    // Passes it on to Odoo.
    Response serve_odoo_proxy(HttpConnection& connection);
    void answer_later(HttpConnection& connection, const Response& response);
    // A request that a service thread answers.
    Response serve_http(HttpConnection& connection, HttpRequest::Kind kind);
    // What is held for it is its client's from now on.
    void charge_client(HttpConnection& connection);
    // The refusal when its address has reached a limit, or nothing; takes its seat. A poll counts as a
    // handshake does: each is authorized.
    std::optional<Response> refuse_address(HttpConnection& connection);
    // The refusal when the rate of all handshakes is exceeded, or nothing.
    std::optional<Response> refuse_handshake();
    // What the connection's head says about an admission, without its socket; nothing when the query is
    // malformed.
    std::optional<Admission> begin_admission(HttpConnection& connection, Transport transport) const;
    // Hands the connection over to a service thread; it is over.
    void admit(HttpConnection& connection, Admission admission);
    // The refusal when it cannot be admitted now, or nothing.
    std::optional<Response> refuse_admission(const Admission& admission) const;
    void tick();

    Options options_;
    AddressLimits addresses_;
    TokenBucket handshakes_;                // of all addresses together
    std::atomic<uint64_t> max_connections_; // options_' own, for other threads
    const Surroundings surroundings_;
    Loop loop_;
    Trust trust_;
    std::unique_ptr<OdooProxy> odoo_proxy_; // with --auth odoo
    std::unique_ptr<Timer> lower_again_;    // when it may be
    ListeningSockets listeners_;
    std::unordered_map<HttpConnection*, std::unique_ptr<HttpConnection>> connections_;
    std::atomic<size_t> connection_count_ = 0;
};

} // namespace odoo_bus
