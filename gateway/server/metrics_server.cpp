// Serves /metrics and /ready.
#include "server/metrics_server.h"

#include <spdlog/fmt/fmt.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "metrics/metrics.h"
#include "metrics/process_metrics.h"

namespace odoo_bus {

namespace {

constexpr size_t MAX_HEAD_BYTES = 8192;
constexpr std::chrono::seconds ANSWERED_WITHIN{5};
// Scrapers are few.
constexpr size_t MAX_CONNECTIONS = 64;

} // namespace

MetricsServer::MetricsServer(std::vector<Listener> listeners, NotReady not_ready)
    : listeners_(std::move(listeners)), not_ready_(std::move(not_ready)) {}

MetricsServer::~MetricsServer() {
    stop();
}

std::string MetricsServer::listen(GivenSockets& given) {
    return sockets_.open(listeners_, "--metrics-listen", "metrics at", true, given);
}

void MetricsServer::start() {
    sockets_.own_paths();
    loop_.start("metrics", [this] {
        sockets_.watch(loop_.uv(), [this](int socket) { accept(socket); });
        loop_.every(1000, [this] { tick(); });
    });
}

void MetricsServer::stop_accepting() {
    loop_.post([this] { sockets_.hand_over(); });
}

void MetricsServer::stop() {
    loop_.post([this] {
        sockets_.close();
        connections_.clear();
        loop_.stop();
    });
    loop_.join();
}

void MetricsServer::accept(int listener) {
    sockaddr_storage peer = {};
    const int socket = sockets_.accept(listener, peer);
    if (socket < 0)
        return;
    if (connections_.size() >= MAX_CONNECTIONS) {
        close(socket);
        return;
    }
    auto connection = std::make_unique<HttpConnection>(loop_.uv(), socket, std::nullopt, MAX_HEAD_BYTES,
                                                       MonotonicClock::now() + ANSWERED_WITHIN,
                                                       [this](HttpConnection& v) { on_event(v); });
    HttpConnection& entered = *connections_.emplace(connection.get(), std::move(connection)).first->first;
    connection_count_ = connections_.size();
    if (entered.begin())
        on_event(entered);
}

void MetricsServer::on_event(HttpConnection& connection) {
    if (!connection.is_over() && !connection.is_answered())
        connection.answer(answer(connection.head()), MonotonicClock::now() + ANSWERED_WITHIN);
    if (connection.is_over())
        connections_.erase(&connection);
    connection_count_ = connections_.size();
}

Response MetricsServer::answer(const RequestHead& head) const {
    if (head.state() == RequestHead::State::refused)
        return head.refusal();
    if (head.path() != "/metrics" && head.path() != "/ready")
        return Response::refusal(404, "here are /metrics and /ready");
    if (head.method() != "GET" && head.method() != "HEAD")
        return Response::refusal(405, "GET it").with("Allow", "GET, HEAD");
    if (head.path() == "/ready")
        return ready();
    update_process_metrics();
    Response response;
    response.headers = {{"Content-Type", metrics::CONTENT_TYPE}};
    response.body = metrics::text();
    return response;
}

Response MetricsServer::ready() const {
    const std::vector<std::string> reasons = not_ready_();
    Response response;
    response.status = reasons.empty() ? 200 : 503;
    response.headers = {{"Content-Type", "application/json"}, {"Cache-Control", "no-store"}};
    const Json list(json_array());
    for (const std::string& reason : reasons)
        json_array_append_new(list.get(), json_string(log::printable(reason).c_str()));
    const Json body(
        json_pack("{s:s,s:O}", "status", reasons.empty() ? "ready" : "not ready", "reasons", list.get()));
    char* const text = json_dumps(body.get(), JSON_COMPACT);
    response.body = text ? text : "";
    free(text);
    return response;
}

void MetricsServer::tick() {
    const Monotonic now = MonotonicClock::now();
    for (auto it = connections_.begin(); it != connections_.end();) {
        HttpConnection& connection = *it->second;
        ++it; // before the connection is erased
        if (now > connection.deadline())
            connections_.erase(&connection);
    }
    connection_count_ = connections_.size();
}

} // namespace odoo_bus
