// Where to begin to read a table: see table_start.h.
#include "database/table_start.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <unordered_map>

#include <spdlog/fmt/fmt.h>

#include "base/log.h"
#include "database/bus_statements.h"
#include "database/row_reader.h"
#include "postgres/pg_array.h"

namespace odoo_bus {

namespace {

// What PostgreSQL can lose in a crash (synchronous_commit off) is younger than this.
constexpr std::chrono::seconds SETTLED(60);

constexpr size_t RESTORED_ROWS = 1000; // at a time

bool is_another_table(const TableIdentity& a, const TableIdentity& b) {
    return a.system_identifier != b.system_identifier || a.database_oid != b.database_oid ||
           a.relation_oid != b.relation_oid;
}

} // namespace

void TableStart::begin() {
    if (auto loaded = state_.open())
        loaded_ = std::move(loaded);
    loaded_ ? restore() : adopt(false);
}

// Goes on where an earlier process of this gateway was killed or stopped.
void TableStart::restore() {
    const Checkpoint& ledger = loaded_->ledger;
    const std::vector<Dispatched>& entries = loaded_->entries;
    state_.history.start(loaded_->first + entries.size() - 1, ledger.max_seen);
    if (is_another_table(ledger.identity, state_.identity)) {
        log::warning("database \"{}\": what is in {} is of another database or table: starting afresh",
                     database_, state_.directory());
        return adopt(true);
    }
    // A client that comes back after longer than the history lasts is answered from the table.
    const Monotonic oldest = MonotonicClock::now() - history_age_;
    state_.read =
        monotonic_at(entries.empty() ? ledger.read : std::max(ledger.read, entries.back().dispatched));
    if (state_.read < oldest)
        return adopt(false);

    size_t from = 0;
    Id settled = ledger.settled;
    for (; from < entries.size() && monotonic_at(entries[from].dispatched) < oldest; ++from)
        if (!entries[from].ahead)
            settled = std::max(settled, entries[from].id);
    state_.history.start(loaded_->first + from - 1, settled);
    state_.cycle.start(ledger.max_seen, ledger.gaps, ledger.ahead);
    restore_rows(from, {});
}

// Reads the rows of the history again, in the order in which they were dispatched.
void TableStart::restore_rows(size_t from, std::vector<BatchPtr> kept) {
    const size_t until = std::min(from + RESTORED_ROWS, loaded_->entries.size());
    if (from == until)
        return restored(std::move(kept));
    std::vector<Id> ids;
    for (size_t i = from; i < until; ++i)
        ids.push_back(loaded_->entries[i].id);
    connection_.script(
        on_table(facts_, fmt::format("EXECUTE restore ('{}')", pg_array(ids))),
        [=, this](const PgResult& result) mutable {
            if (handlers_.failed(result, "reading the history again"))
                return;
            const Monotonic after = kept.empty() ? Monotonic::min() : kept.back()->back().dispatched;
            BatchPtr batch = restored_batch(result, from, until, after);
            state_.history.append(batch);
            kept.push_back(std::move(batch));
            const Position oldest = state_.history.trim(MonotonicClock::now());
            std::erase_if(kept, [oldest](const BatchPtr& old) { return old->back().position < oldest; });
            restore_rows(until, std::move(kept));
        });
}

// A row that is gone, or another one, keeps its position and is given to no client.
BatchPtr TableStart::restored_batch(const PgResult& result, size_t from, size_t until,
                                    Monotonic after) const {
    std::unordered_map<Id, Row> rows;
    for (int row = 0; row < result.rows(); ++row)
        rows.emplace(result.number(row, 0), read_row(result, row));
    auto batch = std::make_shared<Batch>();
    for (size_t i = from; i < until; ++i) {
        const Dispatched& entry = loaded_->entries[i];
        const auto row = rows.find(entry.id);
        std::string channel, element;
        if (row != rows.end() && row->second.fingerprint == entry.fingerprint) {
            channel = row->second.channel;
            element = row->second.element;
        }
        // What was written down while the machine's clock was set back comes in order all the same.
        after = std::max(after, monotonic_at(entry.dispatched));
        batch->push_back({.id = entry.id,
                          .position = loaded_->first + i,
                          .fingerprint = entry.fingerprint,
                          .dispatched = after,
                          .ahead = entry.ahead,
                          .channel = std::move(channel),
                          .element = std::move(element)});
    }
    return batch;
}

void TableStart::restored(std::vector<BatchPtr> kept) {
    const TableIdentity before = loaded_->ledger.identity;
    loaded_.reset();
    state_.adopted_until = 0;
    state_.knowledge = DatabaseState::Knowledge::CURRENT;
    state_.compare_identity(before);
    const History& history = state_.history;
    log::info("database \"{}\": goes on after id {} of {}, with a history of {} notifications", database_,
              state_.cycle.ledger().max_seen(), facts_.table, history.head() + 1 - history.oldest());
    handlers_.begun(std::move(kept), history.oldest() - 1, false);
    if (state_.knowledge == DatabaseState::Knowledge::UNCOMPARED)
        return compare();
    handlers_.ready();
}

void TableStart::adopt(bool missed) {
    connection_.script(on_table(facts_, "EXECUTE adopt"), [this, missed](const PgResult& result) {
        if (!handlers_.failed(result, "first read"))
            adopt_rows(result, missed);
    });
}

void TableStart::adopt_rows(const PgResult& result, bool missed) {
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
        // Transactions begin in another order than they draw ids, and a create_date may be in the future.
        const Monotonic before = rows.size() > 1 ? rows[rows.size() - 2].dispatched : Monotonic::min();
        rows.back().dispatched = std::max(before, monotonic_at(rows.back().written));
    }
    IdSet gaps;
    gaps.add({std::max<Id>(1, max_seen - ADOPTED_IDS + 1), max_seen});
    gaps.remove_all(seen);
    state_.cycle.start(max_seen, std::move(gaps), std::move(chosen));
    const Position head = state_.history.head();
    state_.history.start(head, settled);
    state_.clear_file(head + 1);
    std::vector<BatchPtr> kept;
    if (BatchPtr batch = state_.dispatch(std::move(rows)))
        kept.push_back(std::move(batch));
    loaded_.reset();
    state_.knowledge = DatabaseState::Knowledge::CURRENT;
    state_.adopted_until = state_.history.head();
    state_.read = MonotonicClock::now();
    log::info("database \"{}\": begins after id {} of {}", database_, max_seen, facts_.table);
    handlers_.begun(std::move(kept), head, missed);
    handlers_.ready();
}

void TableStart::compare() {
    auto known = std::make_shared<History::Newest>(state_.history.newest(state_.read - SETTLED));
    connection_.script(
        on_table(facts_, fmt::format("EXECUTE compare ({}, {})", known->settled, state_.cycle.newest())),
        [this, known](const PgResult& result) {
            if (!handlers_.failed(result, "comparison after a restart"))
                compare_rows(result, *known);
        });
}

void TableStart::compare_rows(const PgResult& result, History::Newest& known) {
    const Ledger& ledger = state_.cycle.ledger();
    // What the sequence gave out again may be open in a transaction: every id that is not there is a gap once
    // more, and so is one under which another row stands, so that it is dispatched in the order of all ids.
    const Id max_seen = std::min(ledger.max_seen(), result.number(0, 5)); // the first row has last_value only
    IdSet gaps = ledger.gaps(), chosen = state_.cycle.chosen();
    gaps.add({known.settled + 1, max_seen});
    IdSet present;
    for (int row = 1; row < result.rows(); ++row) {
        const Id id = result.number(row, 0);
        const auto before = known.rows.find(id);
        const bool is_known = before != known.rows.end();
        const bool same = is_known && before->second.fingerprint == read_fingerprint(result, row);
        if (id > max_seen) {
            if (same)
                chosen.add(id);
            else if (is_known)
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
    state_.cycle.start(max_seen, std::move(gaps), std::move(chosen));
    state_.knowledge = DatabaseState::Knowledge::CURRENT;
    log::info("database \"{}\": the server was restarted; it lost {} notifications that had been delivered",
              database_, lost.size());
    state_.history.lose(lost);
    if (!lost.empty())
        handlers_.lost(std::move(lost));
    handlers_.ready();
}

} // namespace odoo_bus
