// The database in which Odoo itself notifies. A lost doorbell only costs time: every database is read once a
// second.
#include "hub.h"

#include <algorithm>

#include "log.h"
#include "metrics.h"
#include "notify_payload.h"
#include "retry.h"

namespace odoo_bus {

namespace {

const metrics::Family up("odoo_bus_hub_up", "1 while the hub database is listened to, else 0.",
                         metrics::Type::gauge);

} // namespace

Hub::Hub(uv_loop_t* loop, std::string conninfo, std::function<void(const std::string&)> ring)
    : conninfo_(std::move(conninfo)), ring_(std::move(ring)),
      connection_(loop,
                  {.on_connected = [this] { connected(); },
                   .on_lost = [this](const std::string& reason) { lose(reason); },
                   .on_notify = [this](std::string_view, std::string_view payload) { heard(payload); }}),
      retry_(loop) {
    connection_.open(conninfo_);
}

void Hub::connected() {
    connection_.query("LISTEN imbus", {}, [this](const PgResult& result) {
        if (!result.ok())
            return lose(result.error());
        log::info("hub database: listening to Odoo's notifications");
        up.with().set(1);
        last_problem_.clear();
        retry_ms_ = 0;
        ring_({}); // something may have been missed
    });
}

void Hub::lose(const std::string& reason) {
    connection_.close();
    up.with().set(0);
    if (reason != last_problem_)
        log::warning("hub database: {}; trying again, until then what Odoo sends arrives up to a second late",
                     reason);
    last_problem_ = reason;
    retry_ms_ = next_retry(retry_ms_);
    retry_.start(with_jitter(retry_ms_), [this] { connection_.open(conninfo_); });
}

void Hub::heard(std::string_view payload) {
    const auto databases = parse_notify_payload(payload);
    if (!databases)
        return ring_({});
    for (const std::string& database : *databases)
        ring_(database);
}

} // namespace odoo_bus
