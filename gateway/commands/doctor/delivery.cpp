// Sends one notification from SQL to clients, and measures each leg of its way.
#include "commands/doctor/groups.h"

#include <spdlog/fmt/fmt.h>

#include "base/clock.h"
#include "commands/doctor/pg_session.h"
#include "commands/websocket_client.h"
#include "database/table_facts.h"
#include "postgres/table_code.h"

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

// The statement that sends, or why it is not executed: what bus_bus's owner has attached to it would run as
// this role.
std::string sending(const PgSession& session, const std::string& channel, const std::string& mark,
                    std::string& problem) {
    const PgResult row = session.ask(TableFacts::query().c_str());
    if (!row.ok()) {
        problem = row.error();
        return {};
    }
    const TableFacts facts = TableFacts::read(row, {});
    if (!facts.code_for_writers.empty())
        problem = fmt::format("it would run code of the owner of {} as this role, since {}", facts.table,
                              facts.code_for_writers);
    else if (facts.extension_schema.empty())
        problem = "the extension odoo_bus is not installed";
    return fmt::format("SELECT {}.bus_sendone({}, 'odoo_bus_doctor', {})", facts.extension_schema,
                       sql_literal(channel), sql_literal('"' + mark + '"'));
}

} // namespace

void examine_delivery(const DoctorOptions& options, const std::string& database, bool through_proxy,
                      Report& report) {
    const char* const name = "delivery";
    const bool needs_name = options.gateway.auth == Auth::token || options.gateway.auth == Auth::sql;
    if (needs_name && options.token.empty() && options.cookie.empty())
        return report.warning(name, "not checked: --auth token and sql grant doctor itself nothing",
                              "give --token or --cookie, and a --channel that it grants");
    const PgSession session(database);
    std::vector<std::pair<const char*, Endpoint>> ways;
    ways.emplace_back("directly", Endpoint::of(options.gateway.listen.front()));
    if (through_proxy)
        ways.emplace_back("through the proxy", *options.proxy);
    std::vector<Receiver> receivers;
    for (const auto& [way, endpoint] : ways) {
        auto opened = WebSocketClient::open(endpoint, options.identity());
        if (!opened.socket)
            return report.failed(name, fmt::format("no WebSocket opens {}: {}", way, opened.problem),
                                 "read the gateway's log");
        receivers.push_back({way, std::move(opened.socket)});
    }
    for (const Receiver& receiver : receivers) {
        receiver.socket->send_text(fmt::format(
            R"({{"event_name":"subscribe","data":{{"channels":["{}"],"last":0,"check_outdated":false,)"
            R"("confirm":1}}}})",
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
    std::string problem;
    const std::string sql = sending(session, options.channel, mark, problem);
    const auto begin = MonotonicClock::now();
    if (problem.empty())
        if (const PgResult sent = session.write(sql.c_str()); !sent.ok())
            problem = sent.error();
    const auto committed = MonotonicClock::now();
    if (!problem.empty())
        return report.failed(name, "the notification cannot be sent: " + problem,
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
