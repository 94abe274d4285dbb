// The gateway itself, and the reverse proxy in front of it, as browsers see them.
#include "commands/doctor/groups.h"

#include <spdlog/fmt/fmt.h>

#include "base/json.h"
#include "base/log.h"
#include "base/text.h"
#include "commands/websocket_client.h"
#include "http/origin.h"

namespace odoo_bus::doctor {

namespace {

// With --wait: how much later than --ping-interval the ping may arrive.
constexpr std::chrono::milliseconds PING_MARGIN{5'000};

constexpr std::string_view KEY = "b2Rvby1idXMtZG9jdG9yIQ=="; // of a handshake that is not completed

std::string text_of(const Json& object, const char* key) {
    const char* const text = json_string_value(json_object_get(object.get(), key));
    return text ? text : "";
}

bool is_true(const Json& object, const char* key) {
    return json_is_true(json_object_get(object.get(), key));
}

// What a handshake has become on its way to a gateway (proxy_echo.h); nothing when another server answers.
Json arrived_of(const HttpAnswer& answer) {
    const Json told = parse_lenient(answer.body());
    json_t* const arrived = json_object_get(told.get(), "arrived");
    return Json(json_is_object(arrived) ? json_incref(arrived) : nullptr);
}

std::optional<HttpAnswer> ask_what_arrives(const Endpoint& endpoint, std::string& problem) {
    return exchange(endpoint, handshake_request(endpoint, KEY, "Odoo-Bus-Doctor: arrived\r\n"), problem);
}

bool is_a_gateway(const Endpoint& endpoint) {
    std::string problem;
    const auto answer = ask_what_arrives(endpoint, problem);
    return answer && arrived_of(*answer) != nullptr;
}

// Checks the headers of a handshake as they arrived at the gateway through the proxy (proxy_echo.h).
void examine_arrival(const Endpoint& proxy, OriginMatch match, const Json& arrived, Report& report) {
    if (!is_true(arrived, "trusted")) {
        report.failed("proxy.trusted",
                      "the gateway does not trust its proxy: every client has the proxy's address and host",
                      "name the proxy's address or network with --trusted-proxy");
        return;
    }
    report.ok("proxy.trusted", "the gateway trusts its proxy");
    if (text_of(arrived, "host") == proxy.host)
        report.ok("proxy.host", "the host that browsers request arrives");
    else
        report.failed(
            "proxy.host",
            fmt::format("the gateway is told the host {} instead of {}: pages of {} count as foreign, "
                        "and have no session",
                        text_of(arrived, "host"), proxy.host, proxy.host),
            "pass it on: proxy_set_header X-Forwarded-Host $http_host; in the location /websocket");
    if (text_of(arrived, "address").empty())
        report.warning("proxy.address",
                       "the addresses of clients do not arrive: clients cannot be distinguished",
                       "pass them on: proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;");
    else
        report.ok("proxy.address", "the addresses of clients arrive");
    const std::string scheme = proxy.tls ? "https" : "http", protos = text_of(arrived, "proto");
    const std::string proto(
        trim(std::string_view(protos).substr(protos.rfind(',') + 1))); // all if there is one
    const char* const cure = "pass it on: proxy_set_header X-Forwarded-Proto $scheme;";
    if (http_scheme(proto) == scheme)
        report.ok("proxy.scheme", scheme + " arrives");
    else if (http_scheme(proto).empty() || match == OriginMatch::host)
        report.warning("proxy.scheme",
                       fmt::format("browsers use {}, and the gateway is told {}", scheme,
                                   proto.empty() ? "nothing" : proto),
                       cure);
    else
        report.failed("proxy.scheme",
                      fmt::format("browsers use {}, and the gateway is told {}: pages count as foreign, and "
                                  "have no session",
                                  scheme, proto),
                      cure);
}

// False when the headers cannot be checked.
bool examine_headers(const Endpoint& proxy, OriginMatch match, Report& report) {
    std::string problem;
    const auto answer = ask_what_arrives(proxy, problem);
    if (!answer) {
        if (problem.find("certificate") != problem.npos)
            report.failed("proxy.certificate", fmt::format("{}: {}", proxy.origin(), problem),
                          "give the proxy the complete chain of a certificate for this host");
        else
            report.failed("proxy.reachable", fmt::format("{} does not answer: {}", proxy.origin(), problem),
                          "start the proxy, open the firewall, or correct --url");
        return false;
    }
    report.ok("proxy.reachable", fmt::format("{} answers", proxy.origin()));
    if (answer->status() == 505) {
        report.failed("proxy.upgrade", "the proxy speaks HTTP/1.0 with the gateway",
                      "set proxy_http_version 1.1; in the location /websocket");
        return false;
    }
    const Json arrived = arrived_of(*answer);
    if (!arrived) {
        report.failed("proxy.route",
                      fmt::format("{}/websocket does not lead to the gateway (it responds with {})",
                                  proxy.origin(), answer->status()),
                      "point the location /websocket at the gateway's --listen (deploy/nginx.conf)");
        return false;
    }
    report.ok("proxy.route", "/websocket leads to the gateway");
    if (!is_true(arrived, "upgrade")) {
        report.failed("proxy.upgrade",
                      "the proxy does not pass on Upgrade and Connection: no WebSocket opens",
                      "set proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header "
                      "Connection $connection_upgrade; in the location /websocket");
        return false;
    }
    examine_arrival(proxy, match, arrived, report);
    return true;
}

std::string percent_encoded(const std::string& text) {
    const std::unique_ptr<char, decltype(&curl_free)> encoded(
        curl_easy_escape(nullptr, text.data(), static_cast<int>(text.size())), &curl_free);
    return encoded ? encoded.get() : "";
}

// Whether what was received of an event stream is more than its head.
bool has_begun(std::string_view received, size_t head_end) {
    // What a compressor writes before anything that it was given, in a chunk.
    constexpr size_t COMPRESSED_HEADER = 24;
    return received.find("retry:", head_end) != received.npos ||
           received.size() - head_end - 4 > COMPRESSED_HEADER;
}

// The beginning of an event stream must not be kept back by the proxy, whose compression the browsers allow.
void examine_buffering(const DoctorOptions& options, Report& report) {
    const char* const name = "proxy.buffering";
    const Endpoint& proxy = *options.proxy;
    std::string problem;
    const auto connection = ServerConnection::open(proxy, problem);
    const auto not_checked = [&](std::string_view why, std::string_view cure) {
        report.warning(name, fmt::format("not checked: {}", why), std::string(cure));
    };
    if (!connection)
        return not_checked(problem, "run doctor again");
    connection->send(
        fmt::format("GET /bus/events?channel={} HTTP/1.1\r\nHost: {}\r\n{}"
                    "Accept: text/event-stream\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n\r\n",
                    percent_encoded(options.channel), proxy.host, options.identity()));
    std::string received;
    const Monotonic deadline = MonotonicClock::now() + RESPONSE_TIMEOUT;
    for (;;) {
        const size_t end = received.find("\r\n\r\n");
        if (end != received.npos && received.find("text/event-stream") > end) {
            const std::string status = received.substr(std::min<size_t>(end, 9), 3); // "HTTP/1.1 200"
            if (status == "404")
                return report.ok(name,
                                 "event streams do not lead to the gateway: only WebSockets are served");
            if (status.starts_with('5') && report.worst() == State::failed)
                return; // by what is reported already
            return not_checked(fmt::format("an event stream is answered with {}", status),
                               status == "401" || status == "403"
                                   ? "give --token or --cookie, and a --channel that it grants"
                                   : "see the proxy's log, and the gateway's");
        }
        if (end != received.npos && has_begun(received, end))
            return report.ok(name, "an event stream passes at once");
        const auto outcome = connection->receive(received, deadline);
        if (outcome == ServerConnection::Outcome::bytes)
            continue;
        if (outcome == ServerConnection::Outcome::end)
            return not_checked("the connection of an event stream is ended without an answer",
                               "see the proxy's log, and the gateway's");
        return report.failed(
            name, "the beginning of an event stream is held back by the proxy",
            "set proxy_buffering off; in the location of /bus/events, and leave it out of the "
            "proxy's compression");
    }
}

void examine_patience(const Endpoint& proxy, Milliseconds interval, Report& report) {
    const auto opened = WebSocketClient::open(proxy);
    if (!opened.socket)
        return report.failed("proxy.websocket", opened.problem, "see the gateway's log, and the proxy's");
    const Monotonic deadline = MonotonicClock::now() + interval + PING_MARGIN;
    for (;;) {
        const auto kind = opened.socket->next(deadline).kind;
        if (kind == WebSocketClient::Kind::ping)
            return report.ok("proxy.patience", "a silent WebSocket stays open until the gateway's ping");
        if (kind != WebSocketClient::Kind::text && kind != WebSocketClient::Kind::other)
            return report.failed(
                "proxy.patience",
                kind != WebSocketClient::Kind::silence
                    ? "the proxy ends a silent WebSocket before the gateway's ping (--ping-interval)"
                    : "the gateway's ping does not pass the proxy",
                fmt::format("set proxy_read_timeout to more than {} s, the sum of --ping-interval and "
                            "--pong-timeout (deploy/nginx.conf: 120s)",
                            interval.count() / 1000));
    }
}

} // namespace

bool examine_gateway(const DoctorOptions& options, bool is_known, Report& report) {
    const char* const name = "gateway.reachable";
    const Listener& listener = options.gateway.listen.front();
    const Endpoint endpoint = Endpoint::of(listener);
    std::string problem;
    const auto answer = get(endpoint, "/websocket/health", problem);
    if (!answer) {
        report.failed(name, fmt::format("the gateway does not answer at {}: {}", listener.text(), problem),
                      "start it (systemctl start odoo-bus-gateway), and read its log if it exits");
        return false;
    }
    // Odoo's own server answers that path alike.
    if (!is_a_gateway(endpoint)) {
        const auto server = answer->header("server");
        report.failed(name,
                      fmt::format("another server answers at {}{}: it is no odoo-bus-gateway",
                                  listener.text(), server ? fmt::format(" ({})", *server) : ""),
                      "end it (ss -ltnp names its process), or give the gateway another --listen and nginx "
                      "the same port");
        return false;
    }
    if (answer->status() != 200 && is_known) {
        report.ok(name, "the gateway responds that it cannot read its database");
        return false;
    }
    if (answer->status() != 200) {
        report.failed(name, fmt::format("the gateway responds with {}: {}", answer->status(), answer->body()),
                      "read its log: it says which database it cannot read, and why");
        return false;
    }
    report.ok(name, fmt::format("the gateway answers at {}", listener.text()));
    return true;
}

bool examine_proxy(const DoctorOptions& options, Report& report) {
    const Endpoint& proxy = *options.proxy;
    if (!examine_headers(proxy, options.gateway.origin_match, report))
        return false;
    if (const auto opened = WebSocketClient::open(proxy); !opened.socket) {
        report.failed("proxy.upgrade", "no WebSocket opens through the proxy: " + opened.problem,
                      "see the proxy's log, and the gateway's");
        return false;
    }
    report.ok("proxy.upgrade", "a WebSocket opens through the proxy");
    examine_buffering(options, report);
    if (options.wait)
        examine_patience(proxy, options.gateway.ping_interval, report);
    return true;
}

} // namespace odoo_bus::doctor
