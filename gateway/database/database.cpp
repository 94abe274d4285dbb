// One database: see database.h. Every query is answered on the loop's thread, one after the other.
#include "database/database.h"

#include <algorithm>
#include <utility>

#include <spdlog/fmt/fmt.h>

#include "base/log.h"
#include "database/bus_statements.h"

namespace odoo_bus {

namespace {

// When connections are ended the database is about to be copied or dropped: long enough for that to begin.
constexpr std::chrono::milliseconds TERMINATED_WAIT{1'000};

// A copy of a large database takes its time; the server lets the connection wait until it is made.
constexpr uint64_t LET_GO_MS = 200;
constexpr uint64_t LET_GO_PATIENCE_MS = 3'600'000;

// Reads end about once a second; when none has for so long, the server, or what is between, has fallen
// silent.
constexpr std::chrono::seconds SILENT(3);
constexpr uint64_t WATCH_MS = 1'000;

} // namespace

Database::Database(uv_loop_t* loop, Settings settings, DatabaseObserver& observer)
    : settings_(std::move(settings)), observer_(observer), metrics_(settings_.name),
      state_({.database = settings_.name,
              .directory = settings_.state_dir,
              .entries = settings_.state_entries,
              .history = settings_.history}),
      row_reader_(metrics_.left_out), connection_(loop, connection_handlers()),
      start_(settings_.name, settings_.history, connection_, row_reader_, facts_, state_, start_handlers()),
      reader_(loop, connection_, row_reader_, facts_, state_, metrics_, reader_handlers()),
      replayer_(loop, settings_.conninfo, row_reader_, [this](Id id) { return state_.cycle.is_decided(id); }),
      user_watch_(connection_,
                  [this](std::set<int64_t> partners) { tell(event::UsersChanged{std::move(partners)}); }),
      follower_(state_, [this](const DatabaseEvent& event) { tell(event); }),
      role_(settings_.prepared ? Role::FOLLOWS : Role::READS), reconnect_(loop, [this] { connect(); }),
      return_(loop), watch_(loop) {
    tell(event::Expect{});
    watch();
    connect();
}

Database::~Database() {
    replayer_.let_go();
    set_available(false);
    if (has_run_)
        settings_.known->fetch_sub(1, std::memory_order_relaxed);
}

PgConnection::Handlers Database::connection_handlers() {
    return {.on_connected = [this] { connected(); },
            .on_lost = [this](const std::string& reason) { lose(reason); },
            .on_notify =
                [this](std::string_view, std::string_view payload) {
                    ring();
                    settings_.heard(payload);
                }};
}

TableStart::Handlers Database::start_handlers() {
    return {.failed = [this](const PgResult& result, const char* what) { return failed(result, what); },
            .begun =
                [this](std::vector<BatchPtr> kept, Position head, bool missed) {
                    tell(event::Begin{.kept = std::move(kept),
                                      .head = head,
                                      .newest = state_.cycle.newest(),
                                      .adopted_until = state_.adopted_until,
                                      .missed = missed});
                },
            .lost =
                [this](std::vector<Position> positions) {
                    tell(event::Lost{std::move(positions), state_.cycle.newest()});
                },
            .ready = [this] { run(); }};
}

TableReader::Handlers Database::reader_handlers() {
    return {.failed = [this](const PgResult& result, const char* what) { return failed(result, what); },
            .publish =
                [this](BatchPtr batch, Position keep_from) {
                    tell(event::Publish{std::move(batch), keep_from});
                },
            .checked = [this](const TableReader::Check& checked) { return check(checked); },
            .tick = [this] { user_watch_.tick(MonotonicClock::now()); },
            .paused = [this] { hear_out(); }};
}

void Database::replay(Id last, std::vector<std::string> channels, std::function<void(ReplayAnswer)> answer) {
    if (is_away_) {
        ReplayAnswer away;
        away.failed = true;
        return answer(std::move(away));
    }
    replayer_.ask(last, std::move(channels), std::move(answer));
}

// --- the connection ---

void Database::connect() {
    phase_ = Phase::CONNECTING;
    connection_.open(settings_.conninfo);
}

void Database::try_again() {
    reconnect_.again();
}

void Database::connected() {
    server_ = {};
    // The reads must stay index probes, whatever the statistics say.
    connection_.query(
        "SELECT set_config(name, 'off', false) FROM unnest(ARRAY['enable_seqscan', 'enable_bitmapscan', "
        "'enable_hashjoin', 'enable_mergejoin']) AS name",
        {}, [this](const PgResult& result) { failed(result, "settings"); });
    connection_.query(fmt::format("SELECT pg_advisory_lock_shared({}, {})", PEER_LOCK, settings_.gateway_key),
                      {}, [this](const PgResult& result) {
                          if (!result.ok())
                              server_.refused(result, "other gateways do not see that this one is connected");
                      });
    for (size_t i = 0; i < ServerFacts::QUESTIONS; ++i) {
        const auto question = static_cast<ServerFacts::Question>(i);
        connection_.query(ServerFacts::query(question, settings_.gateway_key), {},
                          [this, question](const PgResult& result) { server_.answered(question, result); });
    }
    connection_.query(TableFacts::query(), {}, [this](const PgResult& result) {
        if (!failed(result, "catalogue"))
            inspect(result);
    });
}

void Database::inspect(const PgResult& row) {
    TableFacts facts = TableFacts::read(row, server_);
    if (!facts.refusal.empty()) {
        if (facts.is_standby && !has_run_)
            settings_.found_standby();
        return lose(facts.refusal);
    }
    for (const std::string& warning : facts.warnings)
        if (std::ranges::find(facts_.warnings, warning) == facts_.warnings.end())
            log::warning("database \"{}\": {}", settings_.name, warning);
    if (server_.refusals() != refusals_)
        for (const std::string& refusal : refusals_ = server_.refusals())
            log::warning("database \"{}\": the server does not tell everything: {}", settings_.name, refusal);
    facts_ = std::move(facts);
    row_reader_.configure(facts_.encoding, settings_.max_row_bytes);
    replayer_.configure(replay_statements(facts_, settings_.max_row_bytes));
    // A standby refuses it.
    connection_.query("LISTEN imbus", {}, [this](const PgResult& result) {
        if (!failed(result, "LISTEN"))
            listening();
    });
    prepare_statements();
    note_peers(facts_.has_peers);
}

void Database::prepare_statements() {
    for (const Statement& statement : statements(facts_, settings_.gateway_key,
                                                 {.max_row_bytes = settings_.max_row_bytes,
                                                 .adopted_ids = TableStart::ADOPTED_IDS,
                                                 .adopted_rows = TableStart::ADOPTED_ROWS,
                                                 .adopted_age = settings_.history.age}))
        connection_.prepare(
            statement.name, statement.sql,
            [this, name = statement.name](const PgResult& result) { failed(result, name.c_str()); });
}

// Not before this does the former process of a take-over stop hearing.
void Database::listening() {
    if (role_ == Role::FOLLOWS) {
        phase_ = Phase::PREPARED;
        return settings_.prepared();
    }
    go_on();
}

void Database::go_on() {
    const TableIdentity before = std::exchange(state_.identity, facts_.identity());
    if (state_.knowledge == Knowledge::NONE)
        return start_.begin();
    state_.compare_identity(before);
    if (state_.knowledge == Knowledge::OUTDATED)
        return start_afresh("it is another database or table than before");
    if (state_.knowledge == Knowledge::UNCOMPARED)
        return start_.compare();
    run();
}

void Database::start_afresh(const std::string& why) {
    log::warning("database \"{}\": {}; starting afresh, clients that can are told that they are outdated",
                 settings_.name, why);
    if (phase_ == Phase::READING)
        stop_reading(Phase::RESTARTING);
    reader_.pause();
    state_.knowledge = Knowledge::OUTDATED;
    start_.adopt(true);
}

void Database::run() {
    state_.write_checkpoint();
    reconnect_.succeeded();
    phase_ = Phase::READING;
    reading_since_ = MonotonicClock::now();
    set_available(true);
    if (std::exchange(is_away_, false))
        tell(event::Expect{});
    if (!std::exchange(has_run_, true)) {
        settings_.known->fetch_add(1, std::memory_order_relaxed);
        settings_.began();
    }
    user_watch_.start(facts_.schema);
    log::info("database \"{}\": reading {}", settings_.name, facts_.table);
    role_ == Role::FROZEN ? settle() : reader_.start();
}

void Database::stop_reading(Phase next) {
    phase_ = next;
    set_available(false);
}

void Database::set_available(bool available) {
    if (std::exchange(is_available_, available) == available)
        return;
    available ? settings_.available->fetch_add(1, std::memory_order_relaxed)
              : settings_.available->fetch_sub(1, std::memory_order_relaxed);
    metrics_.up.set(available ? 1 : 0);
}

// A connection that has fallen silent is given up after a while; what depends on this database is told
// before.
void Database::watch() {
    watch_.start(WATCH_MS, [this] { watch(); });
    const Monotonic now = MonotonicClock::now();
    metrics_.last_read_age.set(std::chrono::duration<double>(now - std::max(state_.read, created_)).count());
    if (phase_ != Phase::READING || role_ != Role::READS)
        return;
    const Duration age = now - std::max(state_.read, reading_since_);
    const bool is_silent = age > SILENT;
    if (is_silent && is_available_)
        log::warning("database \"{}\": no answer for {} s; clients get nothing new until there is one",
                     settings_.name, std::chrono::duration_cast<std::chrono::seconds>(age).count());
    else if (!is_silent && !is_available_)
        log::info("database \"{}\": it answers again", settings_.name);
    set_available(!is_silent);
}

void Database::disconnect() {
    connection_.close();
    stop_reading(Phase::CLOSED);
    reader_.stop();
}

bool Database::failed(const PgResult& result, const char* what) {
    if (result.ok())
        return false;
    const std::string error = result.error();
    lose(error.find(TABLE_HAS_CHANGED) == error.npos
             ? fmt::format("{}: {}", what, error)
             : fmt::format("{}: {}", facts_.table, TABLE_HAS_CHANGED));
    return true;
}

void Database::lose(const std::string& reason) {
    disconnect();
    if (!has_run_ && !is_followed() && role_ != Role::FROZEN && settings_.refused)
        return settings_.refused(reason);
    const bool was_terminated = connection_.was_terminated();
    if (reconnect_.lost(reason, was_terminated ? TERMINATED_WAIT : std::chrono::milliseconds(0)))
        log::warning("database \"{}\": {}; trying again", settings_.name, reason);
    if (role_ == Role::FROZEN) {
        reconnect_.stop(); // until it is to go on
        return settle();
    }
    if (was_terminated)
        stay_away();
}

// Until it is being read again.
void Database::stay_away() {
    is_away_ = true;
    replayer_.let_go();
    tell(event::LetGo{});
}

// A session that copies, renames or drops a database waits five seconds for others to leave it. The next
// connection waits until that is done, and is not in its way.
void Database::let_go() {
    log::info("database \"{}\": it is to be copied, renamed or dropped; letting go of it until that is done",
              settings_.name);
    disconnect();
    stay_away();
    if (role_ == Role::FROZEN)
        return settle();
    reconnect_.stop();
    return_.start(LET_GO_MS, [this] {
        phase_ = Phase::CONNECTING;
        connection_.open(settings_.conninfo, LET_GO_PATIENCE_MS);
    });
}

bool Database::check(const TableReader::Check& check) {
    if (check.relation_oid != facts_.relation_oid)
        lose("bus_bus was replaced by another table");
    else if (!check.ascends)
        lose("the sequence of bus_bus was altered");
    else if (check.is_asked)
        let_go();
    else if (check.last_value < state_.cycle.ledger().max_seen())
        start_afresh("the sequence of bus_bus went back");
    else
        return note_peers(check.has_peers), true;
    return false;
}

// Within the history's span a client may come from a gateway that has gone.
void Database::note_peers(bool seen) {
    const Monotonic now = MonotonicClock::now();
    if (seen)
        peers_until_ = now + settings_.history.age;
    if (const bool has_peers = now < peers_until_; has_peers != has_peers_)
        tell(event::Peers{has_peers_ = has_peers});
}

// --- another process takes over ---

void Database::describe(const Send& send_message) const {
    if (state_.knowledge == Knowledge::NONE)
        return;
    const auto send = [&](take_over::OfDatabase::What what) {
        send_message({settings_.name, std::move(what)});
    };
    const History& history = state_.history;
    if (state_.knowledge == Knowledge::OUTDATED) // its positions are given out, and to no other notification
        return send(event::Begin{.head = history.head()});
    send(event::Begin{.head = history.oldest() - 1,
                      .newest = state_.cycle.newest(),
                      .adopted_until = state_.adopted_until});
    for (const BatchPtr& batch : history.batches())
        send(take_over::Kept{batch});
    send(take_over::Begun{.is_read = phase_ == Phase::READING,
                          .settled = history.settled(),
                          .lost = {history.lost().begin(), history.lost().end()}});
    send(event::Peers{has_peers_});
}

void Database::freeze(std::function<void()> frozen) {
    frozen_ = std::move(frozen);
    role_ = Role::FROZEN;
    if (phase_ == Phase::CONNECTING)
        disconnect(); // the process that goes on begins with that again
    if (!reader_.pause())
        hear_out();
}

// What was notified before the other process listened is heard with this answer: no other process passes it
// on. A session that notifies reads all that was committed before, also what its listeners were not signalled
// yet.
void Database::hear_out() {
    if (phase_ != Phase::READING)
        return settle();
    connection_.script(in_transaction("SELECT pg_notify('odoo_bus_heard_out', '')"),
                       [this](const PgResult& result) {
                           if (!failed(result, "a last answer"))
                               settle();
                       });
}

void Database::stop_connecting() {
    reconnect_.stop();
    return_.stop();
}

// Nothing that was asked is still to be answered.
void Database::settle() {
    if (!frozen_)
        return;
    stop_connecting();
    if (phase_ == Phase::READING)
        state_.write_checkpoint();
    state_.close(); // the other process is to write it now
    std::exchange(frozen_, nullptr)();
}

void Database::send_ledger(const Send& send) const {
    if (state_.knowledge == Knowledge::NONE || state_.knowledge == Knowledge::OUTDATED)
        return;
    Checkpoint ledger = state_.checkpoint();
    if (state_.knowledge == Knowledge::UNCOMPARED)
        ledger.identity.postmaster_start = {}; // what this server start has lost is still to be found out
    const Duration peers_for = std::max(Duration(0), peers_until_ - MonotonicClock::now());
    send({settings_.name, take_over::LeftOff{.ledger = std::move(ledger), .peers_for = peers_for}});
}

void Database::thaw() {
    if (role_ != Role::FROZEN)
        return;
    role_ = Role::READS;
    frozen_ = nullptr;
    if (state_.knowledge != Knowledge::NONE && !state_.is_open())
        state_.reopen();
    if (phase_ == Phase::READING) {
        if (!state_.cycle.is_under_way()) // else the cycle will
            state_.write_checkpoint();
        reader_.start();
    } else if (phase_ == Phase::CLOSED) {
        connect();
    }
}

// It counts as available until the process ends: another one reads it.
void Database::retire() {
    role_ = Role::FROZEN;
    frozen_ = nullptr;
    phase_ = Phase::CLOSED;
    connection_.close();
    stop_connecting();
    reader_.pause();
}

// --- this process takes over ---

bool Database::follow(const take_over::OfDatabase::What& message) {
    if (const auto* const left_off = std::get_if<take_over::LeftOff>(&message))
        peers_until_ = std::max(peers_until_, MonotonicClock::now() + left_off->peers_for);
    if (const auto* const event = std::get_if<DatabaseEvent>(&message)) {
        if (const auto* const peers = std::get_if<event::Peers>(event))
            has_peers_ = peers->exist;
        else if (std::holds_alternative<event::LetGo>(*event))
            let_go();
    }
    return follower_.follow(message);
}

void Database::take() {
    role_ = Role::READS;
    const bool is_left_off = follower_.there() == DatabaseFollower::There::LEFT_OFF;
    if (is_left_off) {
        state_.knowledge = Knowledge::CURRENT;
        log::info("database \"{}\": goes on after id {} of {}, with a history of {} notifications",
                  settings_.name, state_.cycle.ledger().max_seen(), facts_.table,
                  state_.history.head() + 1 - state_.history.oldest());
        state_.reopen();
    } else {
        state_.history.start(std::max(state_.history.head(), follower_.head()), 0);
    }
    if (phase_ != Phase::PREPARED)
        return; // it goes on when it is connected
    phase_ = Phase::CONNECTING;
    go_on();
}

} // namespace odoo_bus
