// What a client says to Odoo's own bus server alone, and that server is not told.
#include "clients/unforwarded.h"

#include <atomic>

#include "base/log.h"
#include "base/log_once.h"
#include "metrics/metrics.h"

namespace odoo_bus {

namespace {

const metrics::Counter subscribes(
    "odoo_bus_unforwarded_total",
    "What clients said to Odoo's own bus server alone, and it was not told: keys of a subscribe, and events.",
    {{"what", "subscribe"}});
const metrics::Counter events("odoo_bus_unforwarded_total", "", {{"what", "event"}});

} // namespace

void note_unforwarded(Unforwarded what, std::string_view name) {
    static log::Once keys("subscribes that Odoo alone understands");
    static log::Once names("events that Odoo alone knows");
    static log::Limited lines("events that Odoo's bus server was not told in time", 1);
    switch (what) {
    case Unforwarded::subscribe:
        subscribes.add();
        if (keys.admit(log::Level::warning, std::string(name)))
            log::warning(
                "a client subscribes with \"{}\", which only Odoo's own bus server understands, and is "
                "served without it: name that server by --odoo-websocket, like ws://127.0.0.1:8072",
                log::printable(name));
        break;
    case Unforwarded::event:
        events.add();
        if (names.admit(log::Level::warning, std::string(name)))
            log::warning("a client's event \"{}\", which only Odoo's own bus server may know, is dropped: "
                         "name that server by --odoo-websocket, like ws://127.0.0.1:8072",
                         log::printable(name));
        break;
    case Unforwarded::late_event:
        events.add();
        lines.write(log::Level::warning, "events of a client are dropped: Odoo's own bus server did not take "
                                         "them in time; see that it runs (--odoo-websocket)");
    }
}

void note_odoo_websocket(const Options& options, const std::string& problem) {
    static std::atomic<bool> fails = false;
    const bool failed = fails.exchange(!problem.empty());
    if (failed == !problem.empty() || !options.odoo_websocket)
        return;
    const std::string where = options.odoo_websocket->text("ws");
    if (problem.empty())
        log::info("Odoo's bus server at {} can be used again", where);
    else
        log::warning(
            "Odoo's bus server at {} cannot be used ({}): clients that need it are sent away, and come "
            "back; start it (gevent_port), or correct --odoo-websocket",
            where, problem);
}

} // namespace odoo_bus
