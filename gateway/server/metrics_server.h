// Serves GET /metrics, /ready, /clients.json and the page /status, at listeners and on a thread of its own,
// so that monitoring is answered while clients connect in masses.
//
// A web page whose name is made to lead to this address could read what is served here (DNS rebinding):
// requests have to name the gateway by an address, or by a name of its own.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/loop.h"
#include "config/options.h"
#include "http/http_connection.h"
#include "http/listening_sockets.h"
#include "server/client_queries.h"

namespace odoo_bus {

class MetricsServer {
public:
    // Reasons not to send new clients here now. Called on the server's thread.
    using NotReady = std::function<std::vector<std::string>()>;

    MetricsServer(const Options& options, NotReady not_ready, ClientQueries::AskThreads ask_threads);
    ~MetricsServer();

    // Empty, or one sentence why it cannot listen there.
    std::string listen(GivenSockets& given);
    void start();
    // Another process accepts at the same sockets. Connections that were accepted here are answered here.
    void stop_accepting();
    // False when it will accept no connection any more.
    bool accepts() const { return !sockets_.were_handed_over(); }
    size_t connections() const { return connection_count_; }
    void stop();
    const std::vector<ListeningSocket>& sockets() const { return sockets_.sockets(); } // listen() to start()

private:
    void accept(int listener);
    void on_event(HttpConnection& connection);
    // Nothing: it is answered later.
    std::optional<Response> answer(HttpConnection& connection);
    std::optional<Response> answer_clients(HttpConnection& connection);
    // The token is required and not borne.
    std::optional<Response> refuse_stranger(const RequestHead& head) const;
    // Whether the gateway is called by this host, which may have a port.
    bool is_own_name(std::string_view host) const;
    Response ready() const;
    void tick();

    const std::vector<Listener> listeners_;
    const std::vector<std::string> hosts_;
    const std::string token_file_;
    std::string token_;     // empty: none is required
    bool is_local_ = false; // no other machine reaches it
    const NotReady not_ready_;
    Loop loop_;
    ClientQueries queries_;
    ListeningSockets sockets_;
    std::unordered_map<HttpConnection*, std::unique_ptr<HttpConnection>> connections_;
    std::atomic<size_t> connection_count_ = 0;
};

} // namespace odoo_bus
