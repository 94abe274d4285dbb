// One database: see database.h. Every query is answered on the loop's thread, one after the other.
#include "database/database.h"

#include <algorithm>
#include <iterator>

#include <spdlog/fmt/fmt.h>

#include "base/backoff.h"
#include "base/clock.h"
#include "base/log.h"
#include "database/bus_statements.h"
#include "database/row_reader.h"
#include "postgres/pg_array.h"

namespace odoo_bus {

namespace {

// Without any doorbell the table is read this often.
constexpr uint64_t SAFETY_MS = 1000;

// Who ends connections is about to copy or drop the database: long enough for that to begin.
constexpr uint64_t TERMINATED_MS = 1000;

// A copy of a large database takes its time; the server lets the connection wait until it is made.
constexpr uint64_t LET_GO_MS = 200;
constexpr uint64_t LET_GO_PATIENCE_MS = 3'600'000;

// Of a table that was not followed before the newest rows are kept, for clients that come back.
constexpr int ADOPTED_ROWS = 10'000;

} // namespace

Database::Database(uv_loop_t* loop, Settings settings, DatabaseObserver& observer)
    : settings_(std::move(settings)), observer_(observer),
      connection_(loop, {.on_connected = [this] { connected(); },
                         .on_lost = [this](const std::string& reason) { lose(reason); },
                         .on_notify =
                             [this](std::string_view, std::string_view payload) {
                                 ring();
                                 settings_.heard(payload);
                             }}),
      replayer_(loop, settings_.conninfo, [this](Id id) { return cycle_.is_decided(id); }),
      history_(settings_.history), retry_(loop), safety_(loop), recheck_(loop),
      following_(settings_.prepared != nullptr), metrics_(settings_.name),
      user_watch_(connection_,
                  [this](std::set<int64_t> partners) { tell(event::UsersChanged{std::move(partners)}); }) {
    tell(event::Expect{});
    connect();
}

void Database::try_again() {
    retry_ms_ = next_backoff(retry_ms_);
    retry_.start(with_jitter(retry_ms_), [this] { connect(); });
}

Database::~Database() {
    replayer_.let_go();
    if (running_)
        settings_.available->fetch_sub(1, std::memory_order_relaxed);
    if (has_run_)
        settings_.known->fetch_sub(1, std::memory_order_relaxed);
}

void Database::remove_state() {
    if (state_)
        state_->remove();
    state_.reset();
}

// --- the connection ---

void Database::connect() {
    connecting_ = true;
    connection_.open(settings_.conninfo);
}

void Database::disconnect() {
    connection_.close();
    metrics_.up.set(0);
    if (std::exchange(running_, false))
        settings_.available->fetch_sub(1, std::memory_order_relaxed);
    connecting_ = prepared_ = in_snapshot_ = false;
    cycle_.abandon();
    safety_.stop();
    recheck_.stop();
}

void Database::lose(const std::string& reason) {
    disconnect();
    if (!has_run_ && !is_followed_ && !is_frozen_ && settings_.refused)
        return settings_.refused(reason);
    if (reason != last_problem_)
        log::warning("database \"{}\": {}; trying again", settings_.name, reason);
    last_problem_ = reason;
    if (is_frozen_)
        return settle(); // it is tried again when it is to go on
    retry_ms_ = next_backoff(retry_ms_);
    if (connection_.was_terminated()) {
        stay_away();
        retry_ms_ = std::max(retry_ms_, TERMINATED_MS);
    }
    retry_.start(with_jitter(retry_ms_), [this] { connect(); });
}

// Until it is being read again.
void Database::stay_away() {
    away_ = true;
    replayer_.let_go();
    tell(event::LetGo{});
}

// Whoever copies, renames or drops a database waits five seconds for others to leave it. The next connection
// waits until that is done, and is not in its way.
void Database::let_go() {
    log::info("database \"{}\": it is to be copied, renamed or dropped; letting go of it until that is done",
              settings_.name);
    disconnect();
    stay_away();
    if (is_frozen_)
        return settle();
    retry_.start(LET_GO_MS, [this] {
        connecting_ = true;
        connection_.open(settings_.conninfo, LET_GO_PATIENCE_MS);
    });
}

bool Database::failed(const PgResult& result, const char* what) {
    if (result.ok())
        return false;
    lose(fmt::format("{}: {}", what, result.error()));
    return true;
}

void Database::connected() {
    // The reads must stay index probes, whatever the statistics say.
    connection_.query(
        "SELECT set_config(name, 'off', false) FROM unnest(ARRAY['enable_seqscan', 'enable_bitmapscan', "
        "'enable_hashjoin', 'enable_mergejoin', 'jit']) AS name "
        "UNION ALL SELECT set_config('max_parallel_workers_per_gather', '0', false) "
        "UNION ALL SELECT set_config('default_transaction_isolation', 'read committed', false) "
        // A cycle with millions of gaps takes its time.
        "UNION ALL SELECT set_config(name, '0', false) FROM pg_settings WHERE name = 'transaction_timeout'",
        {}, [this](const PgResult& result) { failed(result, "settings"); });
    connection_.query(fmt::format("SELECT pg_advisory_lock_shared({}, {})", PEER_LOCK, settings_.gateway_key),
                      {}, [this](const PgResult& result) { failed(result, "advisory lock"); });
    connection_.query(TableFacts::query(settings_.gateway_key), {}, [this](const PgResult& result) {
        if (!failed(result, "catalogue"))
            inspect(result);
    });
}

void Database::inspect(const PgResult& row) {
    const TableIdentity identity_before = inherited_.value_or(identity());
    const TableFacts before = std::exchange(facts_, TableFacts::read(row));
    if (!facts_.refusal.empty()) {
        const TableFacts now = std::exchange(facts_, before);
        if (now.is_standby && !has_run_)
            settings_.found_standby();
        return lose(now.refusal);
    }
    for (const std::string& warning : facts_.warnings)
        if (std::ranges::find(before.warnings, warning) == before.warnings.end())
            log::warning("database \"{}\": {}", settings_.name, warning);
    // A standby refuses it.
    connection_.query("LISTEN imbus", {}, [this, identity_before](const PgResult& result) {
        if (!failed(result, "LISTEN"))
            listening(identity_before);
    });
    prepare_statements();
    note_peers(facts_.has_peers);
}

// Not before this does the former process of a take-over stop hearing.
void Database::listening(const TableIdentity& before) {
    if (following_) {
        prepared_ = true;
        return settings_.prepared();
    }
    known_ ? go_on_from(inherited_.value_or(before)) : begin();
}

// It is connected again, or has taken over what another process knew.
void Database::go_on_from(TableIdentity before) {
    const TableIdentity now = identity();
    inherited_.reset();
    outdated_ |= before.system_identifier != now.system_identifier ||
                 before.database_oid != now.database_oid || before.relation_oid != now.relation_oid;
    uncompared_ |= before.postmaster_start != now.postmaster_start || before.timeline != now.timeline;
    if (outdated_)
        return start_afresh("it is another database or table than before");
    if (uncompared_)
        return compare_newest();
    run();
}

void Database::prepare_statements() {
    for (const Statement& statement : statements(facts_, settings_.gateway_key,
                                                 {.adopted_ids = ADOPTED_IDS,
                                                 .adopted_rows = ADOPTED_ROWS,
                                                 .adopted_age = settings_.history.age}))
        connection_.prepare(
            statement.name, statement.sql,
            [this, name = statement.name](const PgResult& result) { failed(result, name.c_str()); });
}

void Database::run() {
    checkpoint();
    last_problem_.clear();
    retry_ms_ = 0;
    settings_.available->fetch_add(1, std::memory_order_relaxed);
    running_ = true;
    if (std::exchange(away_, false))
        tell(event::Expect{});
    if (!std::exchange(has_run_, true)) {
        settings_.known->fetch_add(1, std::memory_order_relaxed);
        settings_.began();
    }
    metrics_.up.set(1);
    user_watch_.start();
    connecting_ = false;
    log::info("database \"{}\": reading {}", settings_.name, facts_.table);
    is_frozen_ ? settle() : tick();
}

// --- the cycle ---

void Database::ring() {
    cycle_.ring();
    metrics_.doorbells.add();
    cycle();
}

void Database::tick() {
    ticked_ = true;
    safety_.start(SAFETY_MS, [this] { tick(); });
    cycle();
    user_watch_.tick(MonotonicClock::now());
}

void Database::cycle() {
    if (!running_ || is_frozen_ || !cycle_.begin())
        return;
    metrics_.reads.add();
    ask_next();
}

void Database::ask_next() {
    switch (cycle_.next()) {
    case ReadCycle::Statement::READ:
        return ask_read();
    case ReadCycle::Statement::HOLDERS:
        return ask_holders();
    case ReadCycle::Statement::PROBE:
        return ask_probe();
    case ReadCycle::Statement::NONE:
        return finish();
    }
}

void Database::ask_read() {
    const ReadCycle::Read read = cycle_.read();
    in_snapshot_ = read.keeps_snapshot;
    const PgConnection::OnResult on_result = [this](const PgResult& result) {
        if (failed(result, "read"))
            return;
        std::vector<Row> rows;
        for (int row = 0; row < result.rows(); ++row) {
            rows.push_back(read_row(result, row));
            rows.back().ahead = result.boolean(row, 5);
        }
        publish(cycle_.saw(std::move(rows)));
        ask_next();
    };
    if (in_snapshot_)
        connection_.script(fmt::format("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY; "
                                       "EXECUTE read ({}, {}, {})",
                                       read.max_seen, read.chosen, read.rows),
                           on_result);
    else
        connection_.execute(
            "read", {std::to_string(read.max_seen), std::to_string(read.chosen), std::to_string(read.rows)},
            on_result);
}

void Database::ask_holders() {
    connection_.execute("holders", {}, [this](const PgResult& result) {
        if (failed(result, "holders"))
            return;
        std::vector<Holder> holders;
        for (int row = 0; row < result.rows(); ++row)
            holders.push_back(parse_holder(result.text(row, 0)));
        publish(cycle_.hold(std::move(holders)));
        ask_next();
    });
}

void Database::ask_probe() {
    std::vector<Id> firsts, lasts;
    for (const IdRange& range : cycle_.probe_ranges()) {
        firsts.push_back(range.first);
        lasts.push_back(range.last);
    }
    connection_.execute("probe", {pg_array(firsts), pg_array(lasts), std::to_string(cycle_.probe_rows())},
                        [this](const PgResult& result) {
                            if (failed(result, "probe"))
                                return;
                            std::vector<Row> rows;
                            for (int row = 0; row < result.rows(); ++row)
                                rows.push_back(read_row(result, row));
                            publish(cycle_.probed(std::move(rows)));
                            ask_next();
                        });
}

void Database::finish() {
    if (std::exchange(in_snapshot_, false))
        connection_.script("COMMIT", [this](const PgResult& result) { failed(result, "end of a read"); });
    read_ = MonotonicClock::now();
    if (state_ && state_->room() < settings_.state_entries / 2)
        checkpoint();
    if (!std::exchange(ticked_, false))
        return rest();
    metrics_.update(cycle_.ledger(), history_, read_);
    checkpoint();
    connection_.execute("check", {}, [this](const PgResult& result) {
        if (!failed(result, "check"))
            check(result);
    });
}

// The cycle is over.
void Database::rest() {
    const auto next = cycle_.rest();
    if (is_frozen_)
        return hear_out();
    if (!next)
        return;
    if (*next == next->zero())
        return cycle();
    recheck_.start(static_cast<uint64_t>(next->count()), [this] { cycle(); });
}

void Database::publish(std::vector<Row> rows) {
    if (rows.empty())
        return;
    const Monotonic now = MonotonicClock::now();
    const WallTime wall = WallClock::now();
    for (Row& row : rows) {
        row.dispatched = now;
        if (row.written != WallTime())
            row.delay = wall - row.written;
    }
    BatchPtr batch = history_.append(std::move(rows));
    if (!batch)
        return;
    metrics_.notifications.add(static_cast<double>(batch->size()));
    remember(*batch);
    tell(event::Publish{std::move(batch), history_.trim(now)});
}

// Before anybody is told: after a kill -9 the order must be known of everything that anybody may have got.
void Database::remember(const Batch& batch) {
    if (!state_)
        return;
    std::vector<Dispatched> entries;
    for (const Notification& notification : batch)
        entries.push_back({notification.id, notification.fingerprint, wall_time_at(notification.dispatched),
                           notification.ahead});
    state_->append(batch.front().position, entries);
}

// Needed now and then only: what was appended since brings the former one forward.
void Database::checkpoint() {
    if (state_ && !state_->checkpoint({.identity = identity(),
                                       .max_seen = cycle_.ledger().max_seen(),
                                       .settled = history_.settled(),
                                       .read = wall_time_at(read_),
                                       .gaps = cycle_.ledger().gaps(),
                                       .ahead = cycle_.chosen()})) {
        static log::Limited lines("failed checkpoints", 1);
        lines.write(log::Level::error, "database \"{}\": {}", settings_.name, state_->message());
    }
}

void Database::check(const PgResult& result) {
    if (result.number(0, 1) != facts_.relation_oid)
        return lose("bus_bus was replaced by another table");
    if (result.number(0, 3) > 0)
        return let_go();
    if (result.number(0, 0) < cycle_.ledger().max_seen())
        return start_afresh("the sequence of bus_bus went back");
    note_peers(result.number(0, 2) > 0);
    if (const Position before = history_.oldest(), oldest = history_.trim(MonotonicClock::now());
        oldest != before)
        tell(event::Publish{.keep_from = oldest});
    rest();
}

// Within the history's span a client may come from a gateway that has gone.
void Database::note_peers(bool seen) {
    const Monotonic now = MonotonicClock::now();
    if (seen)
        peers_until_ = now + settings_.history.age;
    if (const bool has_peers = now < peers_until_; has_peers != has_peers_)
        tell(event::Peers{has_peers_ = has_peers});
}

void Database::replay(Id last, std::vector<std::string> channels, std::function<void(ReplayAnswer)> answer) {
    if (away_) {
        ReplayAnswer away;
        away.failed = true;
        return answer(std::move(away));
    }
    replayer_.ask(facts_.table, last, std::move(channels), std::move(answer));
}

} // namespace odoo_bus
