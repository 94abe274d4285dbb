// One database: see database.h. Every query is answered on the loop's thread, one after the other.
#include "database.h"

#include <algorithm>
#include <unordered_map>

#include <spdlog/fmt/fmt.h>

#include "clock.h"
#include "fingerprint.h"
#include "frame.h"
#include "log.h"
#include "pg_array.h"
#include "retry.h"

namespace odoo_bus {

namespace {

// A read takes this many rows at the most, a probe this many ranges and rows: the next one follows at once.
constexpr int READ_ROWS = 256;
constexpr int PROBE_RANGES = 1000;

// Without any doorbell the table is read this often.
constexpr uint64_t SAFETY_MS = 1000;

// While gaps are open their holders are looked up again after this time, doubled each time up to SAFETY_MS: a
// holder lets go of its lock a moment after it rings.
constexpr uint64_t FIRST_RECHECK_MS = 10;

// What PostgreSQL can lose in a crash (synchronous_commit off) is younger than this.
constexpr int64_t SETTLED_US = 60'000'000;

// Where a gateway begins that has never seen the table: this many ids are looked at for gaps, and of the
// newest ones the rows are kept for clients that come back.
constexpr int ADOPTED_IDS = 100'000;
constexpr int ADOPTED_ROWS = 10'000;

// How many dispatched ids the state file remembers (64 MB at the most).
constexpr size_t STATE_ENTRIES = size_t{1} << 21;
constexpr size_t RESTORED_ROWS = 1000;

// The first key of the advisory lock that every gateway holds, the second being its own, so that they know of
// each other.
constexpr int PEER_LOCK = 1868850034;

// The inside of a string literal.
std::string quoted(std::string text) {
    for (size_t i = 0; (i = text.find('\'', i)) != std::string::npos; i += 2)
        text.insert(i, 1, '\'');
    return text;
}

// Reads the columns id, channel, message, xmin.
Row row_at(const PgResult& result, int row) {
    const std::string_view channel = result.text(row, 1), message = result.text(row, 2),
                           xmin = result.text(row, 3);
    return {.id = result.number(row, 0),
            .channel = std::string(channel),
            .message = std::string(message),
            .fingerprint = fingerprint(message, fingerprint(channel, fingerprint(xmin)))};
}

} // namespace

Database::Database(uv_loop_t* loop, Settings settings, Audience& audience)
    : settings_(std::move(settings)), audience_(audience),
      connection_(loop, {.on_connected = [this] { connected(); },
                         .on_lost = [this](const std::string& reason) { lose(reason); },
                         .on_notify = [this](std::string_view, std::string_view) { ring(); }}),
      replayer_(
          loop, settings_.conninfo,
          [this](Id id) { return ahead_.contains(id) || (id <= ledger_.max_seen() && !ledger_.is_gap(id)); }),
      history_(settings_.history), retry_(loop), safety_(loop), recheck_(loop) {
    audience_.expect(settings_.name);
    connect();
}

Database::~Database() = default;

// --- the connection ---

void Database::connect() {
    connection_.open(settings_.conninfo);
}

void Database::lose(const std::string& reason) {
    connection_.close();
    if (running_)
        settings_.available->fetch_sub(1, std::memory_order_relaxed);
    running_ = reading_ = false;
    incoming_.clear();
    safety_.stop();
    recheck_.stop();
    if (reason != last_problem_)
        log::warning("database \"{}\": {}; trying again", settings_.name, reason);
    last_problem_ = reason;
    retry_ms_ = next_retry(retry_ms_);
    retry_.start(with_jitter(retry_ms_), [this] { connect(); });
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
        "UNION ALL SELECT set_config('default_transaction_isolation', 'read committed', false)",
        {}, [this](const PgResult& result) { failed(result, "settings"); });
    connection_.query("LISTEN imbus", {}, [this](const PgResult& result) { failed(result, "LISTEN"); });
    connection_.query(fmt::format("SELECT pg_advisory_lock_shared({}, {})", PEER_LOCK, settings_.gateway_key),
                      {}, [this](const PgResult& result) { failed(result, "advisory lock"); });
    connection_.query(TableFacts::QUERY, {}, [this](const PgResult& result) {
        if (!failed(result, "catalogue"))
            inspect(result);
    });
}

void Database::inspect(const PgResult& row) {
    const TableFacts before = std::exchange(facts_, TableFacts::read(row));
    if (!facts_.refusal.empty()) {
        const std::string refusal = facts_.refusal;
        facts_ = before;
        return lose(refusal);
    }
    for (const std::string& warning : facts_.warnings)
        log::warning("database \"{}\": {}", settings_.name, warning);
    prepare_statements();

    const bool same_table = before.system_identifier == facts_.system_identifier &&
                            before.database_oid == facts_.database_oid &&
                            before.relation_oid == facts_.relation_oid;
    if (!known_)
        return begin();
    if (!same_table)
        return start_afresh("it is another database or table than before");
    ledger_.forget_holders();
    if (before.server_started_us != facts_.server_started_us || before.timeline != facts_.timeline)
        return compare_newest();
    run();
}

void Database::prepare_statements() {
    const auto prepare = [this](const char* name, const std::string& sql) {
        connection_.prepare(name, sql, [this](const PgResult& result) { failed(result, "PREPARE"); });
    };
    const std::string &table = facts_.table, &sequence = facts_.sequence;
    const std::string columns = "id::int8, channel, message, xmin::text";
    const std::string last_value =
        fmt::format("WITH sequence AS MATERIALIZED (SELECT last_value FROM {}) ", sequence);

    // $1 max_seen, $2 the greatest id that somebody chose, $3 how many
    prepare(
        "read",
        last_value +
            fmt::format(
                "(SELECT {0}, false FROM {1} WHERE id > $1::int8 AND id <= (SELECT last_value FROM sequence) "
                "ORDER BY id LIMIT $3::int8) UNION ALL "
                "(SELECT {0}, true FROM {1} WHERE id > greatest($2::int8, (SELECT last_value FROM sequence)) "
                "ORDER BY id LIMIT $3::int8)",
                columns, table));
    prepare("holders", fmt::format("SELECT virtualtransaction FROM pg_locks WHERE locktype = 'relation' AND "
                                   "database = {} AND relation = {} "
                                   "AND mode = 'RowExclusiveLock' AND granted",
                                   facts_.database_oid, facts_.relation_oid));
    // $1 and $2 the ends of the ranges, $3 how many rows
    prepare("probe",
            fmt::format(
                "SELECT row.* FROM unnest($1::int8[], $2::int8[]) AS range (first, last) CROSS JOIN LATERAL "
                "(SELECT {} FROM {} WHERE id BETWEEN range.first AND range.last ORDER BY id LIMIT $3::int8) "
                "AS row "
                "ORDER BY 1 LIMIT $3::int8",
                columns, table));
    prepare(
        "check",
        fmt::format("SELECT last_value, '{0}'::regclass::oid::int8, (SELECT count(*) FROM pg_locks WHERE "
                    "locktype = 'advisory' "
                    "AND database = {1} AND classid::int8 = {2} AND objid::int8 <> {3} AND granted) FROM {4}",
                    quoted(table), facts_.database_oid, PEER_LOCK, settings_.gateway_key, sequence));
    prepare(
        "adopt",
        last_value +
            fmt::format(
                ", newest AS MATERIALIZED (SELECT max(id) AS id FROM {1} WHERE id <= (SELECT last_value FROM "
                "sequence)) "
                "SELECT id::int8, CASE WHEN content THEN channel END, CASE WHEN content THEN message END, "
                "xmin::text, "
                "(extract(epoch FROM create_date) * 1000000)::int8, id > (SELECT last_value FROM sequence) "
                "FROM (SELECT *, xmin, id > (SELECT id FROM newest) - {2} AND id <= (SELECT last_value FROM "
                "sequence) "
                "AND create_date > now() AT TIME ZONE 'UTC' - {3} * interval '1 microsecond' AS content FROM "
                "{1} "
                "WHERE id > (SELECT id FROM newest) - {0}) AS rows ORDER BY id LIMIT 2 * {0}",
                ADOPTED_IDS, table, ADOPTED_ROWS, settings_.history.age_us));
    // $1 the ids
    prepare("restore", fmt::format("SELECT {} FROM {} WHERE id = ANY ($1::int8[])", columns, table));
    // $1 the greatest id that is settled
    prepare("compare",
            last_value + fmt::format("SELECT NULL, NULL, NULL, NULL, last_value FROM sequence UNION ALL "
                                     "(SELECT {}, NULL FROM {} WHERE id > $1::int8 ORDER BY id)",
                                     columns, table));
}

// --- where to begin ---

void Database::begin() {
    if (!settings_.state_dir.empty() && !state_) {
        StateFile::Opened opened = StateFile::open(
            std::filesystem::path(settings_.state_dir) / StateFile::name_of(settings_.name), STATE_ENTRIES);
        state_ = std::move(opened.file);
        if (!opened.message.empty())
            log::log(state_ ? log::Level::warning : log::Level::error, "database \"{}\": {}", settings_.name,
                     opened.message);
        if (opened.loaded)
            return restore(std::make_shared<StateFile::Loaded>(std::move(*opened.loaded)));
    }
    adopt_table(false);
}

// Goes on where an earlier process of this gateway was killed or stopped.
void Database::restore(std::shared_ptr<StateFile::Loaded> loaded) {
    const Identity before = loaded->ledger.identity, now = identity();
    const int64_t last_us = loaded->entries.empty() ? 0 : loaded->entries.back().dispatched_us;
    history_.start(loaded->first + loaded->entries.size() - 1, loaded->ledger.max_seen);
    if (before.system_identifier != now.system_identifier || before.database_oid != now.database_oid ||
        before.relation_oid != now.relation_oid) {
        log::warning("database \"{}\": what is in {} is of another database or table: starting afresh",
                     settings_.name, settings_.state_dir);
        return adopt_table(true);
    }
    if (last_us < now_us() - settings_.history.age_us)
        return adopt_table(false); // whoever comes back is answered from the table

    size_t from = 0;
    Id settled = 0;
    const bool cut = loaded->first > 1; // older entries have been overwritten
    while (from < loaded->entries.size() &&
           (loaded->entries[from].dispatched_us < now_us() - settings_.history.age_us ||
            (cut && from < loaded->entries.size() / 4)))
        settled = std::max(settled, loaded->entries[from++].id);
    history_.start(loaded->first + from - 1, settled);
    ledger_.start(loaded->ledger.max_seen, std::move(loaded->ledger.gaps));
    ahead_ = std::move(loaded->ledger.ahead);
    ahead_cursor_ = ahead_.empty() ? 0 : ahead_.max();
    read_us_ = last_us;
    restore_rows(std::move(loaded), from, {});
}

// Reads the rows of the history again, in the order in which they were dispatched.
void Database::restore_rows(std::shared_ptr<StateFile::Loaded> loaded, size_t from,
                            std::vector<BatchPtr> kept) {
    const size_t until = std::min(from + RESTORED_ROWS, loaded->entries.size());
    if (from == until)
        return restored(*loaded, std::move(kept));
    std::vector<Id> ids;
    for (size_t i = from; i < until; ++i)
        ids.push_back(loaded->entries[i].id);
    connection_.execute("restore", {pg_array(ids)}, [=, this](const PgResult& result) mutable {
        if (failed(result, "reading the history again"))
            return;
        std::unordered_map<Id, Row> rows;
        for (int row = 0; row < result.rows(); ++row)
            rows.emplace(result.number(row, 0), row_at(result, row));
        auto batch = std::make_shared<Batch>();
        for (size_t i = from; i < until; ++i) {
            const Dispatched& entry = loaded->entries[i];
            const auto row = rows.find(entry.id);
            std::string error, channel, element;
            if (row != rows.end() && row->second.fingerprint == entry.fingerprint) {
                channel = row->second.channel;
                element = make_element(entry.id, row->second.message, error).value_or("");
            }
            batch->push_back({.id = entry.id,
                              .position = loaded->first + i,
                              .fingerprint = entry.fingerprint,
                              .dispatched_us = entry.dispatched_us,
                              .channel = std::move(channel),
                              .element = std::move(element)});
        }
        history_.append(batch);
        kept.push_back(std::move(batch));
        const Position oldest = history_.trim(now_us());
        std::erase_if(kept, [oldest](const BatchPtr& old) { return old->back().position < oldest; });
        restore_rows(std::move(loaded), until, std::move(kept));
    });
}

void Database::restored(const StateFile::Loaded& loaded, std::vector<BatchPtr> kept) {
    known_ = true;
    log::info("database \"{}\": goes on after id {} of {}, with a history of {} notifications",
              settings_.name, ledger_.max_seen(), facts_.table, history_.head() + 1 - history_.oldest());
    audience_.begin(settings_.name, std::move(kept), history_.oldest() - 1, newest(), 0, false);
    const Identity now = identity();
    if (loaded.ledger.identity.postmaster_start_us != now.postmaster_start_us ||
        loaded.ledger.identity.timeline != now.timeline)
        return compare_newest();
    run();
}

Identity Database::identity() const {
    return {.system_identifier = facts_.system_identifier,
            .postmaster_start_us = facts_.server_started_us,
            .timeline = facts_.timeline,
            .database_oid = facts_.database_oid,
            .relation_oid = facts_.relation_oid};
}

// Begins with the table as it is: what is in it counts as dispatched, and what is missing in it as a gap.
void Database::adopt_table(bool missed) {
    connection_.execute("adopt", {}, [this, missed](const PgResult& result) {
        if (!failed(result, "first read"))
            adopt_rows(result, missed);
    });
}

void Database::adopt_rows(const PgResult& result, bool missed) {
    const Position head = history_.head();
    ahead_ = {};
    ahead_cursor_ = 0;
    Id max_seen = 0, settled = 0;
    IdSet seen;
    std::vector<Row> rows;
    for (int row = 0; row < result.rows(); ++row) {
        const Id id = result.number(row, 0);
        if (result.boolean(row, 5)) {
            ahead_.add(id);
            ahead_cursor_ = id;
            continue;
        }
        seen.add(max_seen = id);
        if (result.is_null(row, 1)) {
            settled = id;
            continue;
        }
        rows.push_back(row_at(result, row));
        // Transactions begin in another order than they draw ids.
        const int64_t before = rows.size() > 1 ? rows[rows.size() - 2].dispatched_us : 0;
        rows.back().dispatched_us = std::max(before, result.number(row, 4));
    }
    IdSet gaps;
    gaps.add({std::max<Id>(1, max_seen - ADOPTED_IDS), max_seen});
    gaps.remove_all(seen);
    ledger_.start(max_seen, std::move(gaps));
    history_.start(head, settled);
    if (state_)
        state_->clear(head + 1);
    std::vector<BatchPtr> kept;
    if (BatchPtr batch = history_.append(std::move(rows)))
        kept.push_back(std::move(batch));
    known_ = true;
    log::info("database \"{}\": begins after id {} of {}", settings_.name, max_seen, facts_.table);
    audience_.begin(settings_.name, std::move(kept), head, newest(), history_.head(), missed);
    run();
}

Id Database::newest() const {
    return std::max(ledger_.max_seen(), ahead_cursor_);
}

// The server was restarted, or another one was promoted: what it lost can have been dispatched, and its ids
// can be drawn again. Reads the newest rows again and compares them by content.
void Database::compare_newest() {
    auto known = std::make_shared<History::Newest>(history_.newest(read_us_ - SETTLED_US));
    connection_.execute("compare", {std::to_string(known->settled)}, [this, known](const PgResult& result) {
        if (!failed(result, "comparison after a restart"))
            compare_rows(result, *known);
    });
}

void Database::compare_rows(const PgResult& result, History::Newest& known) {
    ledger_.lower(result.number(0, 4)); // the first row holds the sequence's last value, and nothing else
    IdSet present;
    for (int row = 1; row < result.rows(); ++row) {
        Row found = row_at(result, row);
        present.add(found.id);
        const auto before = known.rows.find(found.id);
        const bool same = before != known.rows.end() && before->second.fingerprint == found.fingerprint;
        if (same && found.id > ledger_.max_seen())
            ahead_.add(found.id);
        else if (!same && before != known.rows.end() && found.id > ledger_.max_seen())
            ahead_.remove(found.id);
        else if (!same && found.id <= ledger_.max_seen() && !ledger_.is_gap(found.id))
            incoming_.push_back(std::move(found));
        if (same)
            known.rows.erase(before);
    }
    std::vector<Position> lost;
    for (const auto& [id, row] : known.rows) {
        lost.push_back(row.position);
        if (!present.contains(id))
            ahead_.remove(id);
    }
    log::info("database \"{}\": the server was restarted; it lost {} notifications that had been delivered",
              settings_.name, lost.size());
    if (!lost.empty())
        audience_.lost(settings_.name, std::move(lost), newest());
    publish(std::exchange(incoming_, {}));
    run();
}

void Database::start_afresh(const std::string& why) {
    log::warning("database \"{}\": {}; starting afresh, clients that can are told that they are outdated",
                 settings_.name, why);
    settings_.available->fetch_sub(1, std::memory_order_relaxed);
    running_ = false;
    adopt_table(true);
}

void Database::run() {
    checkpoint();
    last_problem_.clear();
    retry_ms_ = 0;
    settings_.available->fetch_add(1, std::memory_order_relaxed);
    running_ = true;
    reading_ = again_ = false;
    log::info("database \"{}\": reading {}", settings_.name, facts_.table);
    tick();
}

// --- the cycle ---

void Database::ring() {
    recheck_ms_ = 0;
    cycle();
}

void Database::tick() {
    ticked_ = true;
    safety_.start(SAFETY_MS, [this] { tick(); });
    cycle();
}

void Database::cycle() {
    if (!running_)
        return;
    if (std::exchange(reading_, true)) {
        again_ = true;
        return;
    }
    again_ = false;
    ++reads_;
    connection_.execute(
        "read",
        {std::to_string(ledger_.max_seen()), std::to_string(ahead_cursor_), std::to_string(READ_ROWS)},
        [this](const PgResult& result) {
            if (!failed(result, "read"))
                read(result);
        });
}

void Database::read(const PgResult& result) {
    std::vector<Id> ids;
    for (int row = 0; row < result.rows(); ++row) {
        Row found = row_at(result, row);
        const bool chosen = result.boolean(row, 4); // above the sequence's last value
        if (chosen) {
            ahead_cursor_ = std::max(ahead_cursor_, found.id);
            ahead_.add(found.id);
        } else {
            ids.push_back(found.id);
            if (ahead_.contains(found.id)) {
                ahead_.remove(found.id);
                continue; // was dispatched when it stood above the sequence
            }
        }
        incoming_.push_back(std::move(found));
    }
    again_ |= ids.size() == READ_ROWS;
    ledger_.saw(ids);
    if (!ledger_.has_gaps())
        return finish();
    connection_.execute("holders", {}, [this](const PgResult& holders) {
        if (!failed(holders, "holders"))
            hold(holders);
    });
}

void Database::hold(const PgResult& result) {
    std::vector<Holder> holders;
    for (int row = 0; row < result.rows(); ++row)
        holders.push_back(parse_holder(result.text(row, 0)));
    ledger_.hold(std::move(holders));
    probe();
}

void Database::probe() {
    const std::vector<IdRange> ranges = ledger_.due(PROBE_RANGES);
    if (ranges.empty())
        return finish();
    std::vector<Id> firsts, lasts;
    for (const IdRange& range : ranges) {
        firsts.push_back(range.first);
        lasts.push_back(range.last);
    }
    connection_.execute("probe", {pg_array(firsts), pg_array(lasts), std::to_string(READ_ROWS)},
                        [this, ranges](const PgResult& result) {
                            if (!failed(result, "probe"))
                                probed(ranges, result);
                        });
}

void Database::probed(std::vector<IdRange> ranges, const PgResult& result) {
    std::vector<Id> ids;
    std::vector<Row> rows;
    for (int row = 0; row < result.rows(); ++row) {
        rows.push_back(row_at(result, row));
        ids.push_back(rows.back().id);
    }
    if (rows.size() == READ_ROWS) { // there may be more: nothing is said of what comes after the last one
        std::erase_if(ranges, [last = ids.back()](const IdRange& range) { return range.first > last; });
        ranges.back().last = std::min(ranges.back().last, ids.back());
    }
    ledger_.probed(ranges, ids);
    publish(std::move(rows));
    probe();
}

void Database::finish() {
    publish(std::exchange(incoming_, {}));
    reading_ = false;
    read_us_ = now_us();
    const bool ticked = std::exchange(ticked_, false);
    if (ticked || (state_ && state_->room() < STATE_ENTRIES / 2))
        checkpoint();
    if (ticked)
        connection_.execute("check", {}, [this](const PgResult& result) {
            if (!failed(result, "check"))
                check(result);
        });
    if (again_)
        return cycle();
    if (!ledger_.has_gaps())
        return;
    recheck_ms_ = std::clamp(recheck_ms_ * 2, FIRST_RECHECK_MS, SAFETY_MS);
    recheck_.start(recheck_ms_, [this] { cycle(); });
}

void Database::publish(std::vector<Row> rows) {
    if (rows.empty())
        return;
    const int64_t now = now_us();
    for (Row& row : rows)
        row.dispatched_us = now;
    BatchPtr batch = history_.append(std::move(rows));
    if (!batch)
        return;
    remember(*batch);
    audience_.publish(settings_.name, std::move(batch), history_.trim(now));
}

// Before anybody is told: after a kill -9 the order must be known of everything that anybody may have got.
void Database::remember(const Batch& batch) {
    if (!state_)
        return;
    std::vector<Dispatched> entries;
    for (const Notification& notification : batch)
        entries.push_back({notification.id, notification.fingerprint, notification.dispatched_us,
                           ahead_.contains(notification.id)});
    state_->append(batch.front().position, entries);
}

// Needed now and then only: what was appended since brings the former one forward.
void Database::checkpoint() {
    if (state_ && !state_->checkpoint({.identity = identity(),
                                       .max_seen = ledger_.max_seen(),
                                       .gaps = ledger_.gaps(),
                                       .ahead = ahead_})) {
        static log::Limited lines("failed checkpoints", 1);
        lines.write(log::Level::error, "database \"{}\": {}", settings_.name, state_->message());
    }
}

void Database::check(const PgResult& result) {
    if (result.number(0, 1) != facts_.relation_oid)
        return lose("bus_bus was replaced by another table");
    if (result.number(0, 0) < ledger_.max_seen())
        return start_afresh("the sequence of bus_bus went back");
    const bool peers = result.number(0, 2) > 0;
    if (peers)
        peers_until_us_ = now_us() + settings_.history.age_us;
    if (const bool has_peers = now_us() < peers_until_us_; has_peers != has_peers_)
        audience_.peers(settings_.name, has_peers_ = has_peers);
    if (const Position before = history_.oldest(), oldest = history_.trim(now_us()); oldest != before)
        audience_.publish(settings_.name, nullptr, oldest);
}

void Database::replay(Id last, std::vector<std::string> channels, std::function<void(ReplayAnswer)> answer) {
    replayer_.ask(facts_.table, last, std::move(channels), std::move(answer));
}

} // namespace odoo_bus
