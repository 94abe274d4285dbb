// Sends one notification from SQL to clients, and measures each leg of its way.
#include "commands/doctor/groups.h"

#include <spdlog/fmt/fmt.h>

#include "base/clock.h"
#include "commands/doctor/pg_session.h"
#include "commands/websocket_client.h"

namespace odoo_bus::doctor {

namespace {

constexpr std::chrono::seconds ARRIVES_WITHIN{10};

double milliseconds(Monotonic from, Monotonic to) {
    return std::chrono::duration<double, std::milli>(to - from).count();
}

struct Receiver {
    const char* name;
    std::unique_ptr<WebSocketClient> socket;
};

bool is_last(WebSocketClient::Kind kind) {
    return kind != WebSocketClient::Kind::text && kind != WebSocketClient::Kind::ping &&
           kind != WebSocketClient::Kind::other;
}

bool arrives(WebSocketClient& socket, const std::string& mark, std::chrono::seconds within) {
    const auto deadline = MonotonicClock::now() + within;
    for (;;) {
        const auto frame = socket.next(deadline);
        if (frame.kind == WebSocketClient::Kind::text && frame.payload.find(mark) != frame.payload.npos)
            return true;
        if (is_last(frame.kind))
            return false;
    }
}

// Empty when the subscription is confirmed, else why not.
std::string refusal_of(WebSocketClient& socket) {
    const auto deadline = MonotonicClock::now() + ARRIVES_WITHIN;
    for (;;) {
        const auto frame = socket.next(deadline);
        if (frame.kind == WebSocketClient::Kind::silence)
            return "no answer within 10 s";
        if (is_last(frame.kind))
            return "the gateway ends the connection";
        // Older notifications may come first.
        if (frame.kind != WebSocketClient::Kind::text ||
            !frame.payload.starts_with(R"([{"type":"bus/subscribed","internal":true)"))
            continue;
        const bool is_granted = frame.payload.find(R"("refused":[)") == frame.payload.npos &&
                                frame.payload.find(R"("error":)") == frame.payload.npos;
        return is_granted ? "" : "it is refused";
    }
}

} // namespace

void examine_delivery(const DoctorOptions& options, const std::string& database, bool through_proxy,
                      Report& report) {
    const char* const name = "delivery";
    const bool needs_name = options.gateway.auth == Auth::token || options.gateway.auth == Auth::sql;
    if (needs_name && options.token.empty() && options.cookie.empty())
        return report.warning(name, "not checked: --auth token and sql grant doctor itself nothing",
                              "give --token or --cookie, and a --channel that it grants");
    std::string identity;
    if (!options.token.empty())
        identity += fmt::format("Authorization: Bearer {}\r\n", options.token);
    if (!options.cookie.empty())
        identity += fmt::format("Cookie: {}\r\n", options.cookie);
    const PgSession session(database);
    std::vector<std::pair<const char*, Endpoint>> ways;
    ways.emplace_back("directly", Endpoint::of(options.gateway.listen.front()));
    if (through_proxy)
        ways.emplace_back("through the proxy", *options.proxy);
    std::vector<Receiver> receivers;
    for (const auto& [way, endpoint] : ways) {
        auto opened = WebSocketClient::open(endpoint, identity);
        if (!opened.socket)
            return report.failed(name, fmt::format("no WebSocket opens {}: {}", way, opened.problem),
                                 "read the gateway's log");
        receivers.push_back({way, std::move(opened.socket)});
    }
    for (const Receiver& receiver : receivers) {
        receiver.socket->send_text(
            fmt::format(R"({{"event_name":"subscribe","data":{{"channels":["{}"],"last":0,"confirm":1}}}})",
                        options.channel));
        const std::string refusal = refusal_of(*receiver.socket);
        if (!refusal.empty())
            return report.failed(
                name,
                fmt::format("the channel {} is not granted {}: {}", options.channel, receiver.name, refusal),
                "give a --channel that the --token or --cookie grants; the gateway's log says why");
    }
    // With last 0 the receivers are also sent what is up to 50 seconds old: nothing is sent too early for
    // them.
    const std::string mark = fmt::format("doctor-{}", now_us());
    const std::string sql =
        fmt::format("SELECT bus_sendone('{}', 'odoo_bus_doctor', '\"{}\"')", options.channel, mark);
    const auto begin = MonotonicClock::now();
    const PgResult sent = session.write(sql.c_str());
    const auto committed = MonotonicClock::now();
    if (!sent.ok())
        return report.failed(name, "the notification cannot be sent: " + sent.error(),
                             "CREATE EXTENSION odoo_bus, and let this role insert into bus_bus, or leave "
                             "--send out");
    std::string legs = fmt::format("sent and committed in {:.1f} ms", milliseconds(begin, committed));
    for (const Receiver& receiver : receivers) {
        if (!arrives(*receiver.socket, mark, ARRIVES_WITHIN))
            return report.failed(name,
                                 fmt::format("{}, and not received {} within 10 s", legs, receiver.name),
                                 "read the gateway's log: is this database served?");
        legs += fmt::format(", received {} {:.1f} ms after that", receiver.name,
                            milliseconds(committed, MonotonicClock::now()));
    }
    report.ok(name, legs);
}

} // namespace odoo_bus::doctor
