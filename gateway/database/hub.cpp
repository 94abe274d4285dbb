// The database in which Odoo itself notifies. A lost doorbell only costs time: every database is read once a
// second.
#include "database/hub.h"

#include <algorithm>

#include "base/log.h"
#include "metrics/metrics.h"
#include "postgres/pg_array.h"
#include "protocol/notify_payload.h"

namespace odoo_bus {

namespace {

const metrics::Family up("odoo_bus_hub_up", "1 while the gateway listens in the hub database, else 0.",
                         metrics::Type::gauge);

const metrics::Counter passed_on("odoo_bus_hub_passed_on_total",
                                 "Notifications of Odoo databases that were relayed to the hub database.");

constexpr const char* IS_PRELOADED =
    "SELECT pg_catalog.current_setting('odoo_bus.queue_size', true) IS NOT NULL";
// The keys are "imbu" in ASCII, and 1.
constexpr const char* TAKE_RELAY = "SELECT pg_catalog.pg_try_advisory_lock(1768776309, 1)";
constexpr std::string_view IN_RECOVERY = "25006";
constexpr uint64_t TAKE_AGAIN_MS = 2'000;
constexpr size_t MAX_PASSING = 1'000;
// Nothing else may be asked there for hours, and what listens to a dead connection hears nothing.
constexpr uint64_t PING_MS = 1'000;
// A process that is taken over passes nothing on that takes longer.
constexpr std::chrono::seconds RECENT(1);

} // namespace

Hub::Hub(uv_loop_t* loop, std::string conninfo, Switch relay, std::function<void(const std::string&)> ring)
    : conninfo_(std::move(conninfo)), ring_(std::move(ring)), relay_(relay),
      connection_(loop, {.on_connected = [this] { connected(); },
                         .on_lost = [this](const std::string& reason) { lose(reason); },
                         .on_notify = [this](std::string_view, std::string_view payload) { heard(payload); },
                         .purpose = "hub"}),
      reconnect_(loop, [this] { connection_.open(conninfo_); }), take_(loop), ping_(loop) {
    connection_.open(conninfo_);
}

void Hub::connected() {
    connection_.query("LISTEN imbus", {}, [this](const PgResult& result) {
        if (!result.ok())
            return lose(result.sqlstate() == IN_RECOVERY ? "the server is a standby" : result.error());
        log::info("hub database: listening to Odoo's notifications");
        up.with().set(1);
        reconnect_.succeeded();
        ring_({}); // something may have been missed
        judge_relay();
        ping_.start(PING_MS, [this] { ping(); });
    });
}

void Hub::ping() {
    ping_.start(PgConnection::SILENT_MS, [] { up.with().set(0); });
    connection_.query("SELECT", {}, [this](const PgResult& result) {
        if (!result.ok())
            return lose(result.error());
        up.with().set(1);
        ping_.start(PING_MS, [this] { ping(); });
    });
}

// A preloaded odoo_bus notifies here by itself; its settings are known then without the library being loaded.
void Hub::judge_relay() {
    if (relay_ == Switch::off)
        return;
    if (relay_ == Switch::on)
        return take_relay();
    connection_.query(IS_PRELOADED, {}, [this](const PgResult& result) {
        if (result.ok() && result.rows() == 1 && !result.boolean(0, 0))
            return take_relay();
        follows_ = inherits_ = false;
        recent_.clear();
    });
}

// Of several gateways one passes on, so that no listener is notified twice.
void Hub::take_relay() {
    may_relay_ = true;
    if (inherits_)
        inherit_relay();
    connection_.query(TAKE_RELAY, {}, [this](const PgResult& result) {
        const bool is_ours = result.ok() && result.rows() == 1 && result.boolean(0, 0);
        // The other process may have held it when that was asked.
        relays_ = is_ours || (relays_ && inherits_);
        if (relays_)
            inherits_ = false;
        if (!is_ours)
            return take_.start(TAKE_AGAIN_MS, [this] { take_relay(); });
        log::info("hub database: passing on what is notified in Odoo databases");
    });
}

void Hub::follow() {
    follows_ = relay_ != Switch::off;
}

void Hub::succeed(bool relays) {
    inherits_ = std::exchange(follows_, false) && relays;
    std::erase_if(recent_, [this, now = MonotonicClock::now()](const auto& each) {
        return !inherits_ || each.first < now - RECENT;
    });
    if (!inherits_ || !may_relay_)
        return; // in the second case it does so when it is connected
    inherit_relay();
    take_.start(TAKE_AGAIN_MS, [this] { take_relay(); });
}

// Nothing is left out: of what was heard a moment ago the other process may have heard nothing, or have ended
// before it was passed on. What it has passed on is told twice, which makes Odoo's servers look once more.
void Hub::inherit_relay() {
    relays_ = true;
    for (const auto& [heard, payload] : std::exchange(recent_, {}))
        pass_on(payload);
}

void Hub::pass_on(std::string_view payload) {
    if (follows_ || (inherits_ && !relays_)) {
        recent_.emplace_back(MonotonicClock::now(), payload);
        if (recent_.size() > MAX_PASSING)
            recent_.pop_front();
    }
    if (!relays_ || passing_ >= MAX_PASSING)
        return;
    // Anything but an array of channels would stop Odoo's listeners for 50 s.
    const auto databases = parse_notify_payload(payload);
    if (!databases || databases->empty())
        return;
    waiting_.emplace_back(payload);
    if (passing_++ == 0)
        pass();
}

// What comes while one transaction is on its way goes together with the next one.
void Hub::pass() {
    if (!waiting_.empty())
        notify(std::exchange(waiting_, {}));
}

void Hub::notify(std::vector<std::string> payloads) {
    std::string array = pg_array(payloads);
    connection_.query("SELECT pg_catalog.pg_notify('imbus', payload) FROM "
                      "pg_catalog.unnest($1::pg_catalog.text[]) AS payload",
                      {std::move(array)}, [this, payloads = std::move(payloads)](const PgResult& result) {
                          result.ok() ? passed(payloads.size()) : refused(payloads);
                      });
}

void Hub::passed(size_t count) {
    passed_on.add(static_cast<double>(count));
    dispose(count);
}

// A payload that the hub refuses does not take the others of its transaction along.
void Hub::refused(const std::vector<std::string>& payloads) {
    if (payloads.size() == 1)
        return dispose(1);
    for (const std::string& payload : payloads)
        notify({payload});
}

void Hub::dispose(size_t count) {
    passing_ -= count;
    if (passing_ == waiting_.size())
        pass();
    if (retired_)
        retire();
}

void Hub::retire() {
    retired_ = true;
    take_.stop();
    ping_.stop();
    reconnect_.stop();
    up.with().set(0);
    if (passing_ == 0)
        connection_.close();
}

void Hub::lose(const std::string& reason) {
    connection_.close();
    may_relay_ = relays_ = false;
    waiting_.clear();
    passing_ = 0;
    take_.stop();
    ping_.stop();
    up.with().set(0);
    if (retired_)
        return;
    if (reconnect_.lost(reason))
        log::warning("hub database: {}; trying again, until then what Odoo sends arrives up to a second late",
                     reason);
}

void Hub::heard(std::string_view payload) {
    const auto databases = parse_notify_payload(payload);
    if (!databases)
        return ring_({});
    for (const std::string& database : *databases)
        ring_(database);
}

} // namespace odoo_bus
