// The thread that accepts connections: one way from accept() to an answer or an admission.
#include "server/http_server.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "clients/shed_connections.h"
#include "http/cross_origin.h"
#include "http/handshake.h"
#include "http/origin.h"
#include "http/proxy_echo.h"
#include "http/query.h"
#include "metrics/metrics.h"
#include "server/script.h"

namespace odoo_bus {

namespace {

// How long a client may take to read a short answer.
constexpr std::chrono::seconds LINGER{2};

// How long a client may take to read what Odoo answered.
constexpr Milliseconds RELAYED_WITHIN{60'000};

// How long connections may take to end before more are ended.
constexpr uint64_t LOWER_EVERY_MS = 5;

// Connections that are accepted in one turn of the loop, so that the others get theirs.
constexpr int MAX_ACCEPTS = 64;

const metrics::Family answers("odoo_bus_http_answers_total",
                              "Requests that the HTTP server answered itself, by status.",
                              metrics::Type::counter, {"status"});
const metrics::Counter accepted("odoo_bus_accepted_total", "Accepted connections.");

// Bytes that the kernel buffers for a client whose window is full. By default it buffers megabytes for each
// client that does not read, which --max-queue-bytes does not count. Bytes in flight to clients that read are
// not bounded by it.
constexpr int MAX_UNSENT = 128 << 10;

// The subprotocol that is agreed on with a browser that sends a token among the subprotocols.
constexpr std::string_view SUBPROTOCOL = "odoo-bus";

// A stream names each of its channels in the query.
constexpr size_t MAX_QUERY_PAIRS = 2'000;

Monotonic deadline_after(Duration time) {
    return MonotonicClock::now() + time;
}

AddressLimits::Bounds address_bounds(const Options& options) {
    return {.connections = options.max_connections_per_address,
            .handshakes_second = options.max_handshakes_per_address};
}

Trust trust_of(const Options& options) {
    return {.proxies = options.trusted_proxies,
            .origins = options.allowed_origins,
            .origin_match = options.origin_match};
}

// Logs that a page of the same host is a visitor: usually the proxy's configuration is wrong.
void note_foreign(const RequestHead& head, const std::optional<Address>& peer, const Trust& trust) {
    const auto origin = head.first("origin").value_or("");
    const RequestedSite site = requested_site(head, peer, trust);
    if (!is_own_origin(origin, site, OriginMatch::host, {}))
        return;
    static log::Limited lines("pages of another scheme or port", 1);
    lines.write(
        log::Level::warning,
        "a page of {} is served as a visitor: the proxy tells that it requested host {}, scheme {}, port "
        "{}; correct X-Forwarded-Proto, -Host or -Port, or set --allowed-origin or --origin-match",
        log::printable(origin), log::printable(site.host), site.scheme.empty() ? "unknown" : site.scheme,
        site.port ? std::to_string(*site.port) : "unknown");
}

constexpr std::string_view HEALTH = "/websocket/health";

// For connections beyond the limit, whose requests are not read; most clients read it.
constexpr std::string_view TOO_MANY =
    "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 5\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";

// Accepted connections inherit these options. Both calls fail at a unix socket, which does not need them.
void prepare(int listener) {
    const int on = 1;
    setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(listener, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &MAX_UNSENT, sizeof MAX_UNSENT);
}

} // namespace

HttpServer::HttpServer(const Options& options, Surroundings surroundings)
    : options_(options), addresses_(address_bounds(options)), max_connections_(options.max_connections),
      surroundings_(std::move(surroundings)), trust_(trust_of(options)) {}

HttpServer::~HttpServer() {
    stop();
}

std::string HttpServer::listen(GivenSockets& given) {
    return listeners_.open(options_.listen, "--listen", "listening on", false, given);
}

void HttpServer::start() {
    listeners_.own_paths();
    loop_.start("front", [this] {
        if (options_.auth == Auth::odoo)
            odoo_proxy_ = std::make_unique<OdooProxy>(loop_.uv(), options_.odoo_url);
        for (const ListeningSocket& socket : listeners_.sockets())
            prepare(socket.descriptor());
        listeners_.watch(loop_.uv(), [this](int socket) { accept(socket); });
        loop_.every(1000, [this] { tick(); });
        lower_again_ = std::make_unique<Timer>(loop_.uv());
        loop_.every(100, [this] { surroundings_.memory.check(MonotonicClock::now()); });
    });
}

void HttpServer::stop_accepting() {
    loop_.post([this] { listeners_.hand_over(); });
}

void HttpServer::stop() {
    loop_.post([this] {
        listeners_.close();
        odoo_proxy_.reset();
        lower_again_.reset();
        connections_.clear();
        loop_.stop();
    });
    loop_.join();
}

void HttpServer::reconfigure(const Options& options) {
    loop_.post([this, options] {
        options_ = options;
        max_connections_ = options.max_connections;
        addresses_.configure(address_bounds(options));
        trust_ = trust_of(options);
    });
}

void HttpServer::accept(int listener) {
    for (int i = 0; i < MAX_ACCEPTS; ++i) {
        sockaddr_storage peer = {};
        const int socket = listeners_.accept(listener, peer);
        if (socket < 0)
            return;
        accepted.add();
        const auto peer_address = Address::of(reinterpret_cast<const sockaddr&>(peer));
        AddressLimits::Seat seat;
        // A proxy's connections are told apart by its headers.
        if (!trust_.is_proxy(peer_address) && !(seat = addresses_.take_seat(*peer_address))) {
            answers.with({"429"}).add();
            send(socket, TOO_MANY.data(), TOO_MANY.size(), MSG_NOSIGNAL);
            close(socket);
            continue;
        }
        auto connection = std::make_unique<HttpConnection>(
            loop_.uv(), socket, peer_address, options_.max_head_bytes, deadline_after(options_.head_timeout),
            [this](HttpConnection& v) { on_event(v); });
        connection->seat = std::move(seat);
        connection->charge = MemoryCharge(surroundings_.accounts.of(peer_address));
        HttpConnection& entered = *connections_.emplace(connection.get(), std::move(connection)).first->first;
        connection_count_ = connections_.size();
        if (entered.begin())
            on_event(entered);
    }
}

void HttpServer::on_event(HttpConnection& connection) {
    if (!connection.is_over() && !connection.is_answered() && !connection.is_held()) {
        const Response response = route(connection);
        if (!connection.is_over() && !connection.awaits_body() && !connection.is_held()) {
            answers.with({std::to_string(response.status)}).add();
            connection.answer(response, deadline_after(LINGER));
        }
    }
    if (connection.is_over())
        connections_.erase(&connection);
    connection_count_ = connections_.size();
}

// The answer, unless the connection was admitted and is over.
Response HttpServer::route(HttpConnection& connection) {
    struct Route {
        std::string_view path;
        Response (HttpServer::*serve)(HttpConnection&);
    };
    static constexpr Route ROUTES[] = {
        {"/websocket", &HttpServer::serve_websocket},
        {HEALTH, &HttpServer::serve_health},
        {"/websocket/peek_notifications", &HttpServer::serve_peek},
        {"/bus/events", &HttpServer::serve_events},
        {"/longpolling/poll", &HttpServer::serve_poll},
        {"/bus/bus_service.js", &HttpServer::serve_script},
    };
    const RequestHead& head = connection.head();
    if (head.state() == RequestHead::State::refused)
        return head.refusal();
    if (connection.is_timed_out())
        return Response::refusal(408, "The body of the request did not arrive in time; send it at once.");
    if (head.is_http_1_0() && head.path() != HEALTH)
        return Response::refusal(505, "Only HTTP/1.1 is served; in nginx set proxy_http_version 1.1.");
    charge_client(connection);
    for (const Route& each : ROUTES)
        if (head.path() == each.path)
            return (this->*each.serve)(connection);
    if (odoo_proxy_ && OdooProxy::takes(head.path()))
        return serve_odoo_proxy(connection);
    return Response::refusal(404, "this is the notification gateway: it serves /websocket");
}

Response HttpServer::serve_odoo_proxy(HttpConnection& connection) {
    const RequestHead& head = connection.head();
    if (const auto refusal = odoo_proxy_->refuse(head))
        return *refusal;
    // The end of a body in chunks could be seen elsewhere by Odoo.
    if (const auto problem = connection.read_body(options_.max_message_bytes, false))
        return *problem;
    if (connection.awaits_body())
        return {};
    connection.hold();
    const auto find = [this, key = &connection, number = connection.number()] {
        // It may have gone, and another may have its address.
        const auto it = connections_.find(key);
        return it == connections_.end() || it->first->number() != number ? nullptr : it->second.get();
    };
    odoo_proxy_->pass_on({.request = OdooProxy::request(head, connection.body(),
                                                        make_requester(head, connection.peer(), trust_)),
                          .account = connection.charge.account(),
                          .is_wanted = [find] { return find() != nullptr; },
                          .on_response =
                              [this, find](Response response) {
                                  loop_.post([this, find, response = std::move(response)] {
                                      if (HttpConnection* const asker = find())
                                          answer_later(*asker, response);
                                  });
                              }});
    return {};
}

void HttpServer::answer_later(HttpConnection& connection, const Response& response) {
    answers.with({std::to_string(response.status)}).add();
    connection.answer(response, deadline_after(RELAYED_WITHIN));
    if (connection.is_over())
        connections_.erase(&connection);
}

std::optional<Response> HttpServer::refuse_admission(const Admission& admission) const {
    if (surroundings_.connections() >= options_.max_connections) {
        static log::Limited lines("connections above --max-connections", 1);
        lines.write(log::Level::warning, "a connection was refused: there are {} already (--max-connections)",
                    options_.max_connections);
        return Response::refusal(503, "too many connections").with("Retry-After", "5");
    }
    if (surroundings_.memory.is_full())
        return Response::refusal(503, "memory is full").with("Retry-After", "5");
    return surroundings_.authorizers.unavailable(admission.requester.get());
}

void HttpServer::charge_client(HttpConnection& connection) {
    if (trust_.is_proxy(connection.peer()))
        connection.charge.move_to(
            surroundings_.accounts.of(client_address(connection.head(), connection.peer(), trust_)));
}

std::optional<Response> HttpServer::refuse_address(HttpConnection& connection) {
    const auto address = client_address(connection.head(), connection.peer(), trust_);
    if (!address)
        return std::nullopt;
    if (!connection.seat)
        connection.seat = addresses_.take_seat(*address);
    if (connection.seat && addresses_.take_handshake(*address, MonotonicClock::now()))
        return std::nullopt;
    static log::Limited lines("connections of addresses that have too many", 1);
    lines.write(log::Level::warning,
                "a connection of {} was refused ({}); if that is your proxy, name it with --trusted-proxy",
                address->text(),
                connection.seat ? "--max-handshakes-per-address" : "--max-connections-per-address");
    return Response::refusal(429, "too many connections of your address").with("Retry-After", "5");
}

// Behind the address's own limits, so that what one address is refused is not taken from the others.
std::optional<Response> HttpServer::refuse_handshake() {
    if (handshakes_.take(options_.max_handshakes, MonotonicClock::now()))
        return std::nullopt;
    static log::Limited lines("handshakes above --max-handshakes", 1);
    lines.write(log::Level::warning,
                "a handshake was refused: there are more than {} a second (--max-handshakes)",
                options_.max_handshakes);
    return Response::refusal(503, "too many handshakes").with("Retry-After", "5");
}

std::optional<Admission> HttpServer::begin_admission(HttpConnection& connection, Transport transport) const {
    const RequestHead& head = connection.head();
    const auto query = parse_query(head.query(), MAX_QUERY_PAIRS);
    if (!query)
        return std::nullopt;
    Admission admission;
    admission.transport = transport;
    admission.database = query_value(*query, "db").value_or("");
    admission.provenance = provenance_of(head.cookie(GATEWAY_COOKIE).value_or(""), surroundings_.gateway_id);
    if (surroundings_.authorizers.needs_requester()) {
        auto requester = std::make_shared<Requester>(make_requester(head, connection.peer(), trust_));
        // A GET of one's own page has no Origin, and none that has none can be read by a foreign page.
        if (transport != Transport::websocket && head.count("origin") == 0) {
            const auto site = head.first("sec-fetch-site").value_or("none");
            requester->own_origin = site == "same-origin" || site == "none";
            requester->same_host = requester->own_origin;
        }
        if (!requester->own_origin)
            note_foreign(head, connection.peer(), trust_);
        requester->worker_version = query_value(*query, "version").value_or("");
        surroundings_.authorizers.renew(*requester);
        requester->account = connection.charge.account();
        admission.requester = std::move(requester);
    }
    return admission;
}

void HttpServer::admit(HttpConnection& connection, Admission admission) {
    admission.seat = std::move(connection.seat);
    admission.charge = std::move(connection.charge);
    admission.socket = connection.release();
    surroundings_.admit(std::move(admission));
}

Response HttpServer::serve_websocket(HttpConnection& connection) {
    const RequestHead& head = connection.head();
    if (const auto told = proxy_echo(head, connection.peer(), trust_))
        return *told;
    if (const auto refusal = judge_handshake(head))
        return *refusal;
    if (const auto refusal = refuse_address(connection))
        return *refusal;
    if (const auto refusal = refuse_handshake())
        return *refusal;
    auto admission = begin_admission(connection, Transport::websocket);
    if (!admission)
        return Response::refusal(400, "the query is malformed");
    if (const auto refusal = refuse_admission(*admission))
        return *refusal;
    admission->head = canonical_head(
        head, "/websocket", head.has_token("sec-websocket-protocol", SUBPROTOCOL) ? SUBPROTOCOL : "");
    admission->head += head.rest();
    admit(connection, std::move(*admission));
    return {};
}

Response HttpServer::serve_http(HttpConnection& connection, HttpRequest::Kind kind) {
    const RequestHead& head = connection.head();
    const bool is_stream = kind == HttpRequest::Kind::events;
    const std::string reader = foreign_reader(head.first("origin").value_or(""), options_.allowed_origins);
    if (head.method() == "OPTIONS")
        return preflight(reader);
    if (head.method() != "POST" && !(is_stream && head.method() == "GET"))
        return Response::refusal(405, is_stream ? "An event stream is opened with GET or POST."
                                                : "A poll is sent with POST.")
            .with("Allow", is_stream ? "GET, POST, OPTIONS" : "POST, OPTIONS");
    if (const auto problem = connection.read_body(options_.max_message_bytes, true))
        return *problem;
    if (connection.awaits_body())
        return {};
    if (const auto refusal = refuse_address(connection))
        return *refusal;
    if (const auto refusal = refuse_handshake())
        return *refusal;
    auto admission = begin_admission(connection, is_stream ? Transport::events : Transport::poll);
    if (!admission)
        return Response::refusal(400, "the query is malformed");
    if (const auto refusal = refuse_admission(*admission))
        return *refusal;
    auto request = std::make_shared<HttpRequest>();
    request->kind = kind;
    request->is_post = head.method() == "POST";
    request->query = head.query();
    request->body = connection.body();
    request->last_event_id = head.first("last-event-id").value_or("");
    request->reader = reader;
    admission->request = std::move(request);
    admit(connection, std::move(*admission));
    return {};
}

Response HttpServer::serve_events(HttpConnection& connection) {
    return serve_http(connection, HttpRequest::Kind::events);
}

Response HttpServer::serve_poll(HttpConnection& connection) {
    return serve_http(connection, HttpRequest::Kind::poll);
}

Response HttpServer::serve_peek(HttpConnection& connection) {
    if (odoo_proxy_)
        return serve_odoo_proxy(connection); // it is Odoo's own
    return serve_http(connection, HttpRequest::Kind::peek);
}

Response HttpServer::serve_script(HttpConnection& connection) {
    return bus_service_script(connection.head());
}

Response HttpServer::serve_health(HttpConnection&) {
    const std::string problem = surroundings_.unavailable();
    Response response;
    response.status = problem.empty() ? 200 : 503;
    response.headers = {{"Content-Type", "application/json"}, {"Cache-Control", "no-store"}};
    response.body =
        problem.empty() ? R"({"status":"pass"})" : R"({"status":"fail","output":")" + problem + "\"}";
    return response;
}

void HttpServer::lower_memory() {
    loop_.post([this] {
        surroundings_.memory.budget_is_exceeded(MonotonicClock::now());
        lower_again_->start(LOWER_EVERY_MS, [this] { surroundings_.accounts.resume(); });
    });
}

void HttpServer::shed() {
    loop_.post([this] {
        if (odoo_proxy_)
            odoo_proxy_->shed();
        std::vector<HttpConnection*> largest;
        for (const auto& [connection, owned] : connections_)
            if (connection->charge.gives_way())
                largest.push_back(connection);
        std::ranges::sort(largest, std::ranges::greater(),
                          [](const HttpConnection* each) { return each->charge.bytes(); });
        for (HttpConnection* const each : largest) {
            if (!each->charge.gives_way())
                continue; // by now
            shed_connections.add();
            each->shed();
            connections_.erase(each);
        }
        connection_count_ = connections_.size();
    });
}

void HttpServer::tick() {
    log::Limited::report_suppressed();
    const Monotonic now = MonotonicClock::now();
    if (odoo_proxy_)
        odoo_proxy_->tick(now);
    connection_count_ = connections_.size();
    addresses_.tidy(now);
    surroundings_.accounts.tidy();
    for (auto it = connections_.begin(); it != connections_.end();) {
        HttpConnection& connection = *it->second;
        ++it; // before the connection may be erased
        if (now < connection.deadline() || connection.is_held())
            continue;
        if (connection.is_answered()) {
            connections_.erase(&connection);
        } else {
            connection.time_out();
            on_event(connection);
        }
    }
}

} // namespace odoo_bus
