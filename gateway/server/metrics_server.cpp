// Serves /metrics, /ready, /clients.json and /status.
#include "server/metrics_server.h"

#include <algorithm>

#include <spdlog/fmt/fmt.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "http/bearer_token.h"
#include "http/origin.h"
#include "http/query.h"
#include "metrics/metrics.h"
#include "metrics/process_metrics.h"
#include "server/status_page.h"

namespace odoo_bus {

namespace {

constexpr size_t MAX_HEAD_BYTES = 8192;
constexpr std::chrono::seconds ANSWERED_WITHIN{5};
// Scrapers are few.
constexpr size_t MAX_CONNECTIONS = 64;

} // namespace

MetricsServer::MetricsServer(const Options& options, NotReady not_ready,
                             ClientQueries::AskThreads ask_threads)
    : listeners_(options.metrics_listen), hosts_(options.metrics_hosts),
      token_file_(options.metrics_token_file), not_ready_(std::move(not_ready)),
      queries_(loop_, std::move(ask_threads)) {}

MetricsServer::~MetricsServer() {
    stop();
}

std::string MetricsServer::listen(GivenSockets& given) {
    std::string problem;
    if (!token_file_.empty() && (token_ = read_bearer_token(token_file_, problem)).empty())
        return "--metrics-token-file " + problem;
    return sockets_.open(listeners_, "--metrics-listen", "metrics at", true, given);
}

void MetricsServer::start() {
    sockets_.own_paths();
    is_local_ = std::ranges::all_of(sockets(),
                                    [](const ListeningSocket& socket) { return socket.where().is_local(); });
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
    auto connection = std::make_unique<HttpConnection>(
        loop_.uv(), socket, Address::of(reinterpret_cast<const sockaddr&>(peer)), MAX_HEAD_BYTES,
        MonotonicClock::now() + ANSWERED_WITHIN, [this](HttpConnection& v) { on_event(v); });
    HttpConnection& entered = *connections_.emplace(connection.get(), std::move(connection)).first->first;
    connection_count_ = connections_.size();
    if (entered.begin())
        on_event(entered);
}

void MetricsServer::on_event(HttpConnection& connection) {
    if (!connection.is_over() && !connection.is_answered() && !connection.is_held()) {
        if (const auto response = answer(connection))
            connection.answer(*response, MonotonicClock::now() + ANSWERED_WITHIN);
    }
    if (connection.is_over())
        connections_.erase(&connection);
    connection_count_ = connections_.size();
}

bool MetricsServer::is_own_name(std::string_view host) const {
    std::string name = host_only(host);
    if (name.starts_with('[') && name.ends_with(']'))
        name = name.substr(1, name.size() - 2);
    return name == "localhost" || Address::parse(name) ||
           std::ranges::any_of(hosts_, [&name](const std::string& each) { return host_only(each) == name; });
}

std::optional<Response> MetricsServer::answer(HttpConnection& connection) {
    const RequestHead& head = connection.head();
    if (head.state() == RequestHead::State::refused)
        return head.refusal();
    // Browsers cannot reach a unix socket, and always send Host; health checks by HTTP/1.0 may omit it.
    if (connection.peer() && head.count("host") != 0 && !is_own_name(*head.first("host")))
        return Response::refusal(421, "Request it by a numeric address, as localhost, or by a name that "
                                      "--metrics-host gives to this gateway.");
    constexpr std::string_view PATHS[] = {"/metrics", "/ready", "/clients.json", "/status"};
    if (std::ranges::find(PATHS, head.path()) == std::end(PATHS))
        return Response::refusal(404, "here are /metrics, /ready, /clients.json and /status");
    if (head.method() != "GET" && head.method() != "HEAD" && head.method() != "OPTIONS")
        return Response::refusal(405, "GET it").with("Allow", "GET, HEAD, OPTIONS");
    // Load balancers ask by any of these methods.
    if (head.path() == "/ready")
        return ready();
    // A browser that is led to a page sends no token: the page has no data of its own.
    if (head.path() == "/status")
        return status_page();
    if (auto refusal = refuse_stranger(head))
        return refusal;
    if (head.path() == "/clients.json")
        return answer_clients(connection);
    update_process_metrics();
    Response response;
    response.headers = {{"Content-Type", metrics::CONTENT_TYPE}};
    response.body = metrics::text();
    return response;
}

std::optional<Response> MetricsServer::refuse_stranger(const RequestHead& head) const {
    if (token_.empty() || bears_token(head, token_))
        return std::nullopt;
    return Response::refusal(401, "Send the token of --metrics-token-file: Authorization: Bearer TOKEN.")
        .with("WWW-Authenticate", "Bearer");
}

// Addresses of people, and names of channels that are secrets in some applications: other machines need the
// token.
std::optional<Response> MetricsServer::answer_clients(HttpConnection& connection) {
    if (token_.empty() && !is_local_)
        return Response::refusal(403,
                                 "Clients and channels are told at an address that other machines reach only "
                                 "with a --metrics-token-file.");
    const auto query = parse_query(connection.head().query());
    if (!query)
        return Response::refusal(400, "The query is malformed.");
    connection.hold();
    queries_.ask(std::string(query_value(*query, "channel").value_or("")),
                 [this, waits = &connection, number = connection.number()](const std::string& json) {
                     const auto it = connections_.find(waits);
                     if (it == connections_.end() || it->second->number() != number)
                         return; // it has gone meanwhile
                     Response response;
                     response.headers = {{"Content-Type", "application/json"},
                                         {"Cache-Control", "no-store"},
                                         {"X-Content-Type-Options", "nosniff"}};
                     response.body = json;
                     waits->answer(response, MonotonicClock::now() + ANSWERED_WITHIN);
                 });
    return std::nullopt;
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
