// One notification, from SQL to a client, and how long each leg takes.
#include "groups.h"

#include <spdlog/fmt/fmt.h>

#include "../clock.h"
#include "pg_session.h"
#include "web_socket.h"

namespace odoo_bus::doctor {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds ARRIVES_WITHIN{10};

double milliseconds(Clock::time_point from, Clock::time_point to) {
    return std::chrono::duration<double, std::milli>(to - from).count();
}

struct Receiver {
    const char* name;
    std::unique_ptr<WebSocket> socket;
};

bool arrives(WebSocket& socket, const std::string& mark, std::chrono::seconds within) {
    const auto deadline = Clock::now() + within;
    for (;;) {
        const auto frame = socket.next(deadline);
        if (frame.kind == WebSocket::Kind::text && frame.payload.find(mark) != frame.payload.npos)
            return true;
        if (frame.kind == WebSocket::Kind::end || frame.kind == WebSocket::Kind::silence)
            return false;
    }
}

} // namespace

void examine_delivery(const DoctorOptions& options, const std::string& database, bool through_proxy,
                      Report& report) {
    const char* const name = "delivery";
    if (options.gateway.auth == Auth::token || options.gateway.auth == Auth::sql)
        return report.ok(name,
                         "not tried: --auth token and sql grant doctor nothing; use odoo-bus-gateway tail");
    const PgSession session(database);
    std::vector<Receiver> receivers;
    std::string problem;
    receivers.push_back({"directly", WebSocket::open(Place::of(options.gateway.listen.front()), problem)});
    if (through_proxy)
        receivers.push_back({"through the proxy", WebSocket::open(*options.proxy, problem)});
    for (const Receiver& receiver : receivers) {
        if (!receiver.socket)
            return report.failed(name, fmt::format("no WebSocket opens {}: {}", receiver.name, problem),
                                 "read the gateway's log");
        receiver.socket->send_text(
            R"({"event_name":"subscribe","data":{"channels":["odoo_bus_doctor"],"last":0}})");
    }
    // The client's last is 0: it is given what was sent in the last 50 seconds, so none is sent too early.
    const std::string mark = fmt::format("doctor-{}", now_us());
    const std::string sql =
        fmt::format("SELECT bus_sendone('odoo_bus_doctor', 'odoo_bus_doctor', '\"{}\"')", mark);
    const auto begin = Clock::now();
    const PgResult sent = session.write(sql.c_str());
    const auto committed = Clock::now();
    if (!sent.ok())
        return report.failed(name, "the notification cannot be sent: " + sent.error(),
                             "CREATE EXTENSION odoo_bus, and let this role insert into bus_bus, or leave "
                             "--send out");
    std::string legs = fmt::format("sent and committed in {:.1f} ms", milliseconds(begin, committed));
    for (const Receiver& receiver : receivers) {
        if (!arrives(*receiver.socket, mark, ARRIVES_WITHIN))
            return report.failed(name,
                                 fmt::format("{}, and within 10 s not received {}", legs, receiver.name),
                                 "read the gateway's log: does it follow this database, and does Odoo "
                                 "grant a visitor the channel odoo_bus_doctor?");
        legs += fmt::format(", received {} {:.1f} ms after that", receiver.name,
                            milliseconds(committed, Clock::now()));
    }
    report.ok(name, legs);
}

} // namespace odoo_bus::doctor
