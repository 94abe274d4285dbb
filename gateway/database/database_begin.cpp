// Where a database begins: with the table as it is, where an earlier process stopped, or after the server's
// restart.
#include <algorithm>
#include <filesystem>
#include <unordered_map>

#include "base/clock.h"
#include "base/log.h"
#include "database/database.h"
#include "database/row_reader.h"
#include "postgres/pg_array.h"

namespace odoo_bus {

namespace {

// What PostgreSQL can lose in a crash (synchronous_commit off) is younger than this.
constexpr std::chrono::seconds SETTLED(60);

constexpr size_t RESTORED_ROWS = 1000; // at a time

} // namespace

void Database::begin() {
    if (!settings_.state_dir.empty() && !state_) {
        StateFile::Opened opened =
            StateFile::open(std::filesystem::path(settings_.state_dir) / StateFile::name_of(settings_.name),
                            settings_.state_entries);
        state_ = std::move(opened.file);
        loaded_ = std::move(opened.loaded);
        if (!opened.message.empty())
            log::log(state_ ? log::Level::warning : log::Level::error, "database \"{}\": {}", settings_.name,
                     opened.message);
    }
    if (loaded_)
        restore();
    else
        adopt_table(false);
}

// Goes on where an earlier process of this gateway was killed or stopped. The connection may be lost
// meanwhile: then all of it is done again.
void Database::restore() {
    const Checkpoint& ledger = loaded_->ledger;
    const std::vector<Dispatched>& entries = loaded_->entries;
    const TableIdentity before = ledger.identity, now = identity();
    history_.start(loaded_->first + entries.size() - 1, ledger.max_seen);
    if (before.system_identifier != now.system_identifier || before.database_oid != now.database_oid ||
        before.relation_oid != now.relation_oid) {
        log::warning("database \"{}\": what is in {} is of another database or table: starting afresh",
                     settings_.name, settings_.state_dir);
        return adopt_table(true);
    }
    // Whoever comes back after longer than the history lasts is answered from the table.
    const Monotonic oldest = MonotonicClock::now() - settings_.history.age;
    read_ = monotonic_at(entries.empty() ? ledger.read : std::max(ledger.read, entries.back().dispatched));
    if (read_ < oldest)
        return adopt_table(false);

    size_t from = 0;
    Id settled = ledger.settled;
    for (; from < entries.size() && monotonic_at(entries[from].dispatched) < oldest; ++from)
        if (!entries[from].ahead)
            settled = std::max(settled, entries[from].id);
    history_.start(loaded_->first + from - 1, settled);
    cycle_.start(ledger.max_seen, ledger.gaps, ledger.ahead);
    restore_rows(from, {});
}

// Reads the rows of the history again, in the order in which they were dispatched.
void Database::restore_rows(size_t from, std::vector<BatchPtr> kept) {
    const size_t until = std::min(from + RESTORED_ROWS, loaded_->entries.size());
    if (from == until)
        return restored(std::move(kept));
    std::vector<Id> ids;
    for (size_t i = from; i < until; ++i)
        ids.push_back(loaded_->entries[i].id);
    connection_.execute("restore", {pg_array(ids)}, [=, this](const PgResult& result) mutable {
        if (failed(result, "reading the history again"))
            return;
        std::unordered_map<Id, Row> rows;
        for (int row = 0; row < result.rows(); ++row)
            rows.emplace(result.number(row, 0), read_row(result, row));
        // What was written down while the machine's clock was set back comes in order all the same.
        Monotonic before = kept.empty() ? Monotonic::min() : kept.back()->back().dispatched;
        auto batch = std::make_shared<Batch>();
        for (size_t i = from; i < until; ++i) {
            const Dispatched& entry = loaded_->entries[i];
            const auto row = rows.find(entry.id);
            std::string channel, element;
            if (row != rows.end() && row->second.fingerprint == entry.fingerprint) {
                channel = row->second.channel;
                element = row->second.element;
            }
            batch->push_back({.id = entry.id,
                              .position = loaded_->first + i,
                              .fingerprint = entry.fingerprint,
                              .dispatched = before = std::max(before, monotonic_at(entry.dispatched)),
                              .ahead = entry.ahead,
                              .channel = std::move(channel),
                              .element = std::move(element)});
        }
        history_.append(batch);
        kept.push_back(std::move(batch));
        const Position oldest = history_.trim(MonotonicClock::now());
        std::erase_if(kept, [oldest](const BatchPtr& old) { return old->back().position < oldest; });
        restore_rows(until, std::move(kept));
    });
}

void Database::restored(std::vector<BatchPtr> kept) {
    const TableIdentity before = loaded_->ledger.identity, now = identity();
    loaded_.reset();
    adopted_until_ = 0;
    known_ = true;
    log::info("database \"{}\": goes on after id {} of {}, with a history of {} notifications",
              settings_.name, cycle_.ledger().max_seen(), facts_.table,
              history_.head() + 1 - history_.oldest());
    tell(event::Begin{.kept = std::move(kept), .head = history_.oldest() - 1, .newest = cycle_.newest()});
    uncompared_ = before.postmaster_start != now.postmaster_start || before.timeline != now.timeline;
    if (uncompared_)
        return compare_newest();
    run();
}

TableIdentity Database::identity() const {
    return {.system_identifier = facts_.system_identifier,
            .postmaster_start = facts_.server_started,
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
    Id max_seen = 0, settled = 0;
    IdSet seen, chosen;
    std::vector<Row> rows;
    for (int row = 0; row < result.rows(); ++row) {
        const Id id = result.number(row, 0);
        if (result.boolean(row, 5)) {
            chosen.add(id);
            continue;
        }
        seen.add(max_seen = id);
        if (result.is_null(row, 1)) {
            settled = id;
            continue;
        }
        rows.push_back(read_row(result, row));
        // Transactions begin in another order than they draw ids.
        const Monotonic before = rows.size() > 1 ? rows[rows.size() - 2].dispatched : Monotonic::min();
        rows.back().dispatched = std::max(before, monotonic_at(rows.back().written));
    }
    IdSet gaps;
    gaps.add({std::max<Id>(1, max_seen - ADOPTED_IDS + 1), max_seen});
    gaps.remove_all(seen);
    cycle_.start(max_seen, std::move(gaps), std::move(chosen));
    history_.start(head, settled);
    if (state_)
        state_->clear(head + 1);
    std::vector<BatchPtr> kept;
    if (BatchPtr batch = history_.append(std::move(rows))) {
        remember(*batch);
        kept.push_back(std::move(batch));
    }
    known_ = true;
    adopted_until_ = history_.head();
    outdated_ = uncompared_ = false;
    loaded_.reset();
    read_ = MonotonicClock::now();
    log::info("database \"{}\": begins after id {} of {}", settings_.name, max_seen, facts_.table);
    tell(event::Begin{.kept = std::move(kept),
                      .head = head,
                      .newest = cycle_.newest(),
                      .adopted_until = adopted_until_,
                      .missed = missed});
    run();
}

// The server was restarted, or another one was promoted: what it lost can have been dispatched, and its ids
// can be drawn again. Reads the newest rows again and compares them by content.
void Database::compare_newest() {
    auto known = std::make_shared<History::Newest>(history_.newest(read_ - SETTLED));
    connection_.execute("compare", {std::to_string(known->settled), std::to_string(cycle_.newest())},
                        [this, known](const PgResult& result) {
                            if (!failed(result, "comparison after a restart"))
                                compare_rows(result, *known);
                        });
}

void Database::compare_rows(const PgResult& result, History::Newest& known) {
    // What the sequence gave out again may be open in a transaction: every id that is not there is a gap once
    // more, and so is one under which another row stands, so that it is dispatched in the order of all ids.
    const Id max_seen =
        std::min(cycle_.ledger().max_seen(), result.number(0, 5)); // the first row: last_value, and no id
    IdSet gaps = cycle_.ledger().gaps(), chosen = cycle_.chosen();
    gaps.add({known.settled + 1, max_seen});
    IdSet present;
    for (int row = 1; row < result.rows(); ++row) {
        const Id id = result.number(row, 0);
        const auto before = known.rows.find(id);
        const bool same =
            before != known.rows.end() && before->second.fingerprint == read_fingerprint(result, row);
        if (id > max_seen) {
            if (same)
                chosen.add(id);
            else if (before != known.rows.end())
                chosen.remove(id);
        } else if (same) {
            gaps.remove(id);
        }
        present.add(id);
        if (same)
            known.rows.erase(before);
    }
    std::vector<Position> lost;
    for (const auto& [id, row] : known.rows) {
        lost.push_back(row.position);
        if (!present.contains(id))
            chosen.remove(id);
    }
    cycle_.start(max_seen, std::move(gaps), std::move(chosen));
    uncompared_ = false;
    log::info("database \"{}\": the server was restarted; it lost {} notifications that had been delivered",
              settings_.name, lost.size());
    history_.lose(lost);
    if (!lost.empty())
        tell(event::Lost{std::move(lost), cycle_.newest()});
    run();
}

void Database::start_afresh(const std::string& why) {
    log::warning("database \"{}\": {}; starting afresh, clients that can are told that they are outdated",
                 settings_.name, why);
    if (std::exchange(running_, false))
        settings_.available->fetch_sub(1, std::memory_order_relaxed);
    outdated_ = true;
    adopt_table(true);
}

} // namespace odoo_bus
