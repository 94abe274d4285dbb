// One database's bus_presence.
#include "presence/presence_table.h"

#include <algorithm>
#include <utility>

#include <spdlog/fmt/fmt.h>

#include "base/clock.h"
#include "base/log.h"
#include "postgres/pg_array.h"
#include "presence/presence_statements.h"

namespace odoo_bus {

namespace {

using metrics::Family;
using metrics::Type;

const std::vector<std::string> DATABASE = {"database"};

const Family up("odoo_bus_presence_up", "1 while presence is being written, else 0.", Type::gauge, DATABASE);
const Family rows("odoo_bus_presence_rows",
                  "Presence rows of this gateway, including members in their grace time.", Type::gauge,
                  DATABASE);
const Family waiting("odoo_bus_presence_waiting", "Presence rows that are not written yet.", Type::gauge,
                     DATABASE);
const Family joins("odoo_bus_presence_joins_total", "Presence rows written.", Type::counter, DATABASE);
const Family leaves("odoo_bus_presence_leaves_total", "Presence rows removed after the grace time.",
                    Type::counter, DATABASE);
const Family expired("odoo_bus_presence_expired_total", "Presence rows of dead gateways that were removed.",
                     Type::counter, DATABASE);
const Family without_place("odoo_bus_presence_without_place_total",
                           "Members on channels that are not written, because of --presence-max-rows or "
                           "--presence-max-members, or because the database cannot hold their names.",
                           Type::counter, DATABASE);

// A gateway that has sent no heartbeat for this many intervals is dead.
constexpr int LIFETIME_BEATS = 3;
// For a server that does not answer at all; one that does ends statements earlier (SETTLE).
constexpr uint64_t PATIENCE_MS = 30'000;
// Nothing else may be asked for as long as a heartbeat's interval.
constexpr std::chrono::seconds PING{1};
// The database is to be dropped or copied, or the server stops; Database logs more about it.
constexpr std::chrono::milliseconds TERMINATED_WAIT{5'000};

// A gateway that sleeps in the middle must not keep the lock.
constexpr const char* SETTLE = R"(
SELECT set_config('statement_timeout', '10s', false), set_config('lock_timeout', '10s', false),
       set_config('idle_in_transaction_session_timeout', '10s', false))";

bool is_guards(const PgResult& result) {
    return result.error().find(TABLE_HAS_CHANGED) != std::string::npos;
}

bool is_ascii(const std::string& text) {
    return std::ranges::all_of(text, [](unsigned char c) { return c < 0x80; });
}

} // namespace

PresenceTable::PresenceTable(uv_loop_t* loop, Settings settings)
    : settings_(std::move(settings)), roster_(settings_.bounds),
      connection_(loop, {.on_connected = [this] { connected(); },
                         .on_lost = [this](const std::string& reason) { lose(reason); },
                         .on_notify = [](std::string_view, std::string_view) {},
                         .use = SessionUse::WRITES,
                         .purpose = "presence"}),
      reconnect_(loop, [this] { connection_.open(settings_.conninfo); }), patience_(loop),
      up_(up.with({settings_.database})), rows_(rows.with({settings_.database})),
      waiting_(waiting.with({settings_.database})), joins_(joins.with({settings_.database})),
      leaves_(leaves.with({settings_.database})), expired_(expired.with({settings_.database})),
      without_place_(without_place.with({settings_.database})) {
    up_.set(0);
    connection_.open(settings_.conninfo);
}

PresenceTable::~PresenceTable() {
    for (const Family* const family : {&up, &rows, &waiting, &joins, &leaves, &expired, &without_place})
        family->remove({settings_.database});
}

void PresenceTable::set(uint64_t connection, const std::string& member,
                        const std::vector<std::string>& channels) {
    const size_t refused = roster_.set(connection, member, channels, MonotonicClock::now());
    if (refused == 0)
        return;
    without_place_.add(static_cast<double>(refused));
    static log::Limited lines("members without a place", 1);
    lines.write(log::Level::warning,
                "database \"{}\": {} more members on channels than --presence-max-rows or "
                "--presence-max-members allow; they are served, and not shown as present",
                settings_.database, refused);
}

void PresenceTable::gone(uint64_t connection) {
    roster_.gone(connection, MonotonicClock::now());
}

void PresenceTable::tick() {
    rows_.set(static_cast<double>(roster_.rows()));
    waiting_.set(static_cast<double>(roster_.waiting()));
    if (connection_.is_silent())
        up_.set(0);
    if (busy_)
        return;
    if (!ready_)
        return roster_.prune(MonotonicClock::now());
    const Monotonic now = MonotonicClock::now();
    is_due_ = now >= next_beat_;
    if (known_)
        writing_ = roster_.changes(settings_.batch, now);
    if (is_due_ || !writing_.empty())
        beat();
    else if (now >= next_ping_)
        ping();
}

double PresenceTable::lifetime_seconds() const {
    return std::chrono::duration<double>(LIFETIME_BEATS * settings_.heartbeat).count();
}

// --- the connection ---

void PresenceTable::connected() {
    patience_.start(PATIENCE_MS, [this] { lose("the server does not answer"); });
    connection_.query(SETTLE, {}, checked("setting up", [this](const PgResult&) {
                          connection_.query(
                              find_presence_tables(settings_.notify), {},
                              checked("setting up", [this](const PgResult& found) { inspect(found); }));
                      }));
}

// What the tables' owner has attached to them would run as this role.
void PresenceTable::inspect(const PgResult& found) {
    if (found.rows() == 0)
        return lose("the extension odoo_bus is missing: CREATE EXTENSION odoo_bus");
    schema_ = found.text(0, 0);
    std::vector<SeenTable> tables;
    for (int row = 0; row < found.rows(); ++row) {
        SeenTable table{.name = std::string(found.text(row, 1)),
                        .oid = static_cast<uint32_t>(found.number(row, 2)),
                        .attachments = std::string(found.text(row, 3))};
        if (found.is_null(row, 2))
            return lose(fmt::format("{} is missing: SELECT {}.{}()", table.name, schema_,
                                    table.name.ends_with(".bus_bus") ? "bus_create_table"
                                                                     : "bus_create_presence_table"));
        if (!found.is_null(row, 4))
            return lose(
                fmt::format("writing to {} would run code of its owner as the gateway's role, since {}: drop "
                            "that",
                            table.name, found.text(row, 4)));
        tables.push_back(std::move(table));
    }
    prepare(tables);
}

void PresenceTable::prepare(const std::vector<SeenTable>& tables) {
    std::vector<Statement> statements = presence_statements(schema_, settings_.notify, tables);
    for (Statement& statement : statements) {
        const bool is_last = &statement == &statements.back();
        connection_.prepare(std::move(statement.name), std::move(statement.sql),
                            checked("preparing", [this, is_last](const PgResult&) {
                                if (!is_last)
                                    return;
                                patience_.stop();
                                ready_ = true;
                                known_ = false;
                                next_beat_ = {};
                                beating_since_ = MonotonicClock::now();
                            }));
    }
}

void PresenceTable::disconnect() {
    connection_.close();
    patience_.stop();
    reconnect_.stop();
    if (std::exchange(committing_, false))
        roster_.doubt(writing_);
    ready_ = busy_ = known_ = false;
    writing_ = {};
    up_.set(0);
}

void PresenceTable::let_go() {
    disconnect();
    away_ = true;
}

void PresenceTable::expect() {
    if (std::exchange(away_, false))
        connection_.open(settings_.conninfo);
}

void PresenceTable::lose(const std::string& reason) {
    disconnect();
    const auto least = connection_.was_terminated() ? TERMINATED_WAIT : std::chrono::milliseconds(0);
    if (reconnect_.lost(reason, least))
        log::warning(
            "database \"{}\": who is present cannot be written: {}; trying again, everything else goes "
            "on",
            settings_.database, reason);
}

// Goes on when the statement has succeeded.
PresenceTable::Then PresenceTable::checked(const char* what, Then then) {
    return [this, what, then = std::move(then)](const PgResult& result) {
        if (!result.ok())
            return lose(is_guards(result) ? TABLE_HAS_CHANGED : fmt::format("{}: {}", what, result.error()));
        then(result);
    };
}

void PresenceTable::execute(const char* name, const std::vector<std::string>& parameters, Then then) {
    connection_.script(execute_presence(schema_, name, parameters, false), std::move(then));
}

// It sends `presence` notifications, if they are wanted.
void PresenceTable::execute_notifying(const char* name, const std::vector<std::string>& parameters,
                                      Then then) {
    connection_.script(execute_presence(schema_, name, parameters, settings_.notify), std::move(then));
}

// What listens to a dead connection hears nothing.
void PresenceTable::ping() {
    busy_ = true;
    connection_.query("SELECT", {}, checked("ping", [this](const PgResult&) {
                          up_.set(1);
                          rest();
                      }));
}

void PresenceTable::rest() {
    busy_ = false;
    patience_.stop();
    next_ping_ = MonotonicClock::now() + PING;
}

// --- one transaction ---

void PresenceTable::beat() {
    busy_ = true;
    patience_.start(PATIENCE_MS, [this] { lose("the server does not answer"); });
    connection_.script(
        begin_presence(schema_), checked("waiting for other gateways", [this](const PgResult&) {
            execute(
                "beat",
                {settings_.gateway, fmt::format("{:.3f}", lifetime_seconds()), is_due_ && known_ ? "t" : "f"},
                checked("heartbeat", [this](const PgResult& result) { heard_beat(result); }));
        }));
}

void PresenceTable::heard_beat(const PgResult& result) {
    const bool is_same =
        result.rows() == 1 &&
        (result.is_null(0, 0) || result.number(0, 0) == static_cast<int64_t>(roster_.stored()));
    if (!known_ || !is_same)
        return enlist();
    change();
}

// What the table has of this gateway may be another thing than was believed.
void PresenceTable::enlist() {
    execute("enlist", {settings_.gateway, fmt::format("{:.3f}", lifetime_seconds())},
            checked("enlisting", [this](const PgResult& enlisted) {
                const std::string begun(enlisted.text(0, 0));
                execute("own", {settings_.gateway}, checked("reading", [this, begun](const PgResult& result) {
                            std::vector<PresenceRoster::Pair> stored;
                            for (int row = 0; row < result.rows(); ++row)
                                stored.emplace_back(result.text(row, 0), result.text(row, 1));
                            connection_.script(
                                "COMMIT", checked("enlisting", [this, begun, stored](const PgResult&) {
                                    const bool emptied = !begun_.empty() && begun != begun_;
                                    roster_.assume(stored, emptied,
                                                   std::max(MonotonicClock::now(), settings_.others_until));
                                    begun_ = begun;
                                    // If it stays another thing, look again once in a heartbeat.
                                    next_beat_ =
                                        known_ ? MonotonicClock::now() + settings_.heartbeat : Monotonic();
                                    known_ = true;
                                    writing_ = {};
                                    rest();
                                }));
                        }));
            }));
}

void PresenceTable::change() {
    if (writing_.empty())
        return expire();
    std::vector<std::string> left[2], joined[2];
    std::string quiet = "{";
    for (const auto& [channel, member] : writing_.leaves) {
        left[0].push_back(channel);
        left[1].push_back(member);
    }
    for (const PresenceRoster::Join& join : writing_.joins) {
        joined[0].push_back(join.who.first);
        joined[1].push_back(join.who.second);
        quiet += quiet.size() > 1 ? "," : "";
        quiet += join.quiet ? 't' : 'f';
    }
    execute_notifying("change",
                      {settings_.gateway, pg_array(left[0]), pg_array(left[1]), pg_array(joined[0]),
                       pg_array(joined[1]), quiet + "}"},
                      [this](const PgResult& result) {
                          // Data that it cannot hold: an encoding without these characters, an index row.
                          const std::string state = result.sqlstate();
                          if ((state.starts_with("22") || state.starts_with("54")) && !is_guards(result))
                              return refused(result);
                          checked("writing", [this](const PgResult&) { expire(); })(result);
                      });
}

// Not right after this gateway could reach the database again: others may need a moment more for that.
void PresenceTable::expire() {
    if (!is_due_ || MonotonicClock::now() - beating_since_ < LIFETIME_BEATS * settings_.heartbeat)
        return commit();
    execute_notifying("expire", {settings_.gateway, std::to_string(settings_.batch)},
                      checked("expiring", [this](const PgResult& result) {
                          const auto gone = static_cast<size_t>(result.number(0, 0));
                          expired_.add(static_cast<double>(gone));
                          if (gone == settings_.batch)
                              is_due_ = false; // and more: the next one is due at once
                          execute("clean", {settings_.gateway},
                                  checked("expiring", [this](const PgResult&) { commit(); }));
                      }));
}

void PresenceTable::commit() {
    committing_ = true;
    connection_.script("COMMIT", checked("writing", [this](const PgResult&) {
                           committing_ = false;
                           roster_.written(writing_);
                           joins_.add(static_cast<double>(writing_.joins.size()));
                           leaves_.add(static_cast<double>(writing_.leaves.size()));
                           writing_ = {};
                           if (is_due_)
                               next_beat_ = MonotonicClock::now() + settings_.heartbeat;
                           if (reconnect_.succeeded())
                               log::info("database \"{}\": who is present is being written again",
                                         settings_.database);
                           up_.set(1);
                           rest();
                       }));
}

// One name that the database cannot hold must not keep back the others for good.
void PresenceTable::refused(const PgResult& result) {
    static log::Limited lines("members whose names the database cannot hold", 1);
    lines.write(log::Level::warning, "database \"{}\": members are not shown as present: {}",
                settings_.database, result.error());
    without_place_.add(static_cast<double>(
        roster_.give_up(writing_, [](const PresenceRoster::Pair& who) { return !is_ascii(who.second); })));
    writing_ = {};
    connection_.script("ROLLBACK", checked("writing", [this](const PgResult&) { rest(); }));
}

} // namespace odoo_bus
