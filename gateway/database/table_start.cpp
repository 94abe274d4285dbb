// Where to begin to read a table: see table_start.h.
#include "database/table_start.h"

#include <algorithm>
#include <chrono>
#include <memory>

#include <spdlog/fmt/fmt.h>

#include "base/file_clock.h"
#include "base/keyed_hash.h"
#include "base/log.h"
#include "database/bus_statements.h"
#include "postgres/pg_array.h"

namespace odoo_bus {

namespace {

// What PostgreSQL can lose in a crash (synchronous_commit off) is younger than this.
constexpr std::chrono::seconds SETTLED(60);

constexpr size_t FETCHED_IDS = 1000; // at a time

} // namespace

struct TableStart::Comparison {
    History::Newest known;
    Id last_value; // of the sequence
    Id until;      // ids up to this one are compared
    Id after;      // ids up to this one have been
    IdSet gaps, chosen, present = {};
};

void TableStart::fetch(std::span<const Id> ids, const char* what,
                       std::function<void(const PgResult& result, size_t count)> fetched) {
    const size_t asked = std::min(ids.size(), FETCHED_IDS);
    connection_.script(
        on_table(facts_, fmt::format("EXECUTE fetch_rows ('{}')", pg_array(ids.first(asked)))),
        [this, asked, what, fetched = std::move(fetched)](const PgResult& result) {
            if (handlers_.failed(result, what))
                return;
            // What is missing before the last row is not in the table any more.
            const bool is_cut = RowReader::is_cut(result);
            const auto last = is_cut ? result.number(result.rows() - 1, ROW_COLUMNS) : 0;
            fetched(result, is_cut ? static_cast<size_t>(last) : asked);
        },
        PgConnection::LONG_PATIENCE_MS);
}

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
    if (state_.identity.is_another_table(ledger.identity)) {
        log::warning("database \"{}\": what is in {} is of another database or table: starting afresh",
                     database_, state_.directory());
        return adopt(true);
    }
    // A client that comes back after longer than the history lasts is answered from the table.
    const Monotonic oldest = MonotonicClock::now() - history_.age;
    state_.read =
        file_clock::time_of(entries.empty() ? ledger.read : std::max(ledger.read, entries.back().dispatched));
    if (state_.read < oldest)
        return adopt(false);

    size_t from = 0;
    Id settled = ledger.settled;
    for (; from < entries.size() && file_clock::time_of(entries[from].dispatched) < oldest; ++from)
        if (!entries[from].ahead)
            settled = std::max(settled, entries[from].id);
    state_.history.start(loaded_->first + from - 1, settled);
    state_.cycle.start(ledger.max_seen, ledger.gaps, ledger.ahead);
    restore_rows(from, {});
}

// Reads the rows of the history again, in the order in which they were dispatched.
void TableStart::restore_rows(size_t from, Kept kept) {
    if (from == loaded_->entries.size())
        return restored(std::move(kept));
    std::vector<Id> ids;
    for (size_t i = from; i < std::min(from + FETCHED_IDS, loaded_->entries.size()); ++i)
        ids.push_back(loaded_->entries[i].id);
    fetch(ids, "reading the history again", [=, this](const PgResult& result, size_t count) mutable {
        const Monotonic after = kept.empty() ? Monotonic::min() : kept.back()->back().dispatched;
        BatchPtr batch = restored_batch(result, from, from + count, after);
        state_.history.append(batch);
        kept.push_back(std::move(batch));
        const Position oldest = state_.history.trim(MonotonicClock::now());
        std::erase_if(kept, [oldest](const BatchPtr& old) { return old->back().position < oldest; });
        restore_rows(from + count, std::move(kept));
    });
}

// A row that is gone, or another one, keeps its position and is given to no client.
BatchPtr TableStart::restored_batch(const PgResult& result, size_t from, size_t until,
                                    Monotonic after) const {
    KeyedMap<Id, int> rows;
    for (int row = 0; row < result.rows(); ++row)
        rows.emplace(result.number(row, ID), row);
    auto batch = std::make_shared<Batch>();
    for (size_t i = from; i < until; ++i) {
        const Dispatched& entry = loaded_->entries[i];
        const auto row = rows.find(entry.id);
        std::string channel, element;
        if (row != rows.end() && RowReader::is_same(result, row->second, entry.fingerprint)) {
            Row read = row_reader_.read(result, row->second);
            channel = std::move(read.channel);
            element = std::move(read.element);
        }
        // What was written down while the machine's clock was set back comes in order all the same.
        after = std::max(after, file_clock::time_of(entry.dispatched));
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

void TableStart::restored(Kept kept) {
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
    connection_.script(
        on_table(facts_, "EXECUTE adopt"),
        [this, missed](const PgResult& result) {
            if (!handlers_.failed(result, "first read"))
                adopt_ids(result, missed);
        },
        PgConnection::LONG_PATIENCE_MS);
}

void TableStart::adopt_ids(const PgResult& result, bool missed) {
    Id max_seen = 0, settled = 0;
    IdSet seen, chosen;
    std::vector<Id> kept;
    std::vector<uint64_t> sizes;
    for (int row = 0; row < result.rows(); ++row) {
        const Id id = result.number(row, 0);
        if (result.boolean(row, 2)) {
            chosen.add(id);
            continue;
        }
        seen.add(max_seen = id);
        if (!result.boolean(row, 3)) {
            settled = id;
            continue;
        }
        kept.push_back(id);
        sizes.push_back(static_cast<uint64_t>(result.number(row, 1)));
    }
    // What the history has no room for is not read.
    size_t from = kept.size();
    for (uint64_t bytes = 0; from > 0 && (bytes += sizes[from - 1]) <= history_.bytes;)
        --from;
    if (from > 0)
        settled = std::max(settled, kept[from - 1]);
    IdSet gaps;
    gaps.add({std::max<Id>(1, max_seen - ADOPTED_IDS + 1), max_seen});
    gaps.remove_all(seen);
    state_.cycle.start(max_seen, std::move(gaps), std::move(chosen));
    const Position head = state_.history.head();
    state_.history.start(head, settled);
    state_.clear_file(head + 1);
    adopt_rows({kept.begin() + static_cast<std::ptrdiff_t>(from), kept.end()}, 0, {}, missed);
}

void TableStart::adopt_rows(std::vector<Id> ids, size_t from, Kept kept, bool missed) {
    if (from == ids.size())
        return adopted(std::move(kept), missed);
    fetch(std::span(ids).subspan(from), "first read of rows",
          [=, this](const PgResult& result, size_t count) mutable {
              std::vector<Row> rows;
              Monotonic before = kept.empty() ? Monotonic::min() : kept.back()->back().dispatched;
              for (int row = 0; row < result.rows(); ++row) {
                  rows.push_back(row_reader_.read_new(result, row));
                  // Transactions begin in another order than they draw ids, and a create_date may be in the
                  // future.
                  before = std::max(before, monotonic_at(rows.back().written));
                  rows.back().dispatched = before;
              }
              if (BatchPtr batch = state_.dispatch(std::move(rows)))
                  kept.push_back(std::move(batch));
              adopt_rows(std::move(ids), from + count, std::move(kept), missed);
          });
}

void TableStart::adopted(Kept kept, bool missed) {
    const Position head = kept.empty() ? state_.history.head() : kept.front()->front().position - 1;
    loaded_.reset();
    state_.knowledge = DatabaseState::Knowledge::CURRENT;
    state_.adopted_until = state_.history.head();
    state_.read = MonotonicClock::now();
    log::info("database \"{}\": begins after id {} of {}", database_, state_.cycle.ledger().max_seen(),
              facts_.table);
    handlers_.begun(std::move(kept), head, missed);
    handlers_.ready();
}

void TableStart::compare() {
    connection_.script(on_table(facts_, "EXECUTE last_value"), [this](const PgResult& result) {
        if (handlers_.failed(result, "comparison after a restart"))
            return;
        const ReadCycle& cycle = state_.cycle;
        History::Newest known = state_.history.newest(state_.read - SETTLED);
        const Id settled = known.settled, last_value = result.number(0, 0);
        auto comparison = std::make_shared<Comparison>(Comparison{.known = std::move(known),
                                                                  .last_value = last_value,
                                                                  .until = cycle.newest(),
                                                                  .after = settled,
                                                                  .gaps = cycle.ledger().gaps(),
                                                                  .chosen = cycle.chosen()});
        // What the sequence gave out again may be open in a transaction: every id that is not there is a gap
        // once more, and so is one under which another row stands, so that it is dispatched in the order of
        // all ids.
        comparison->gaps.add({settled + 1, std::min(cycle.ledger().max_seen(), last_value)});
        compare_rows(std::move(comparison));
    });
}

void TableStart::compare_rows(std::shared_ptr<Comparison> comparison) {
    connection_.script(
        on_table(facts_, fmt::format("EXECUTE compare ({}, {})", comparison->after, comparison->until)),
        [this, comparison](const PgResult& result) {
            if (handlers_.failed(result, "comparison after a restart"))
                return;
            const Id max_seen = std::min(state_.cycle.ledger().max_seen(), comparison->last_value);
            for (int row = 0; row < result.rows(); ++row) {
                const Id id = result.number(row, ID);
                const auto before = comparison->known.rows.find(id);
                const bool is_known = before != comparison->known.rows.end();
                const bool same = is_known && RowReader::is_same(result, row, before->second.fingerprint);
                if (id > max_seen) {
                    if (same)
                        comparison->chosen.add(id);
                    else if (is_known)
                        comparison->chosen.remove(id);
                } else if (same) {
                    comparison->gaps.remove(id);
                }
                comparison->present.add(id);
                comparison->after = id;
                if (same)
                    comparison->known.rows.erase(before);
            }
            if (result.rows() == PAGE_ROWS || RowReader::is_cut(result))
                return compare_rows(comparison);
            compared(*comparison);
        },
        PgConnection::LONG_PATIENCE_MS);
}

void TableStart::compared(Comparison& comparison) {
    std::vector<Position> lost;
    for (const auto& [id, row] : comparison.known.rows) {
        lost.push_back(row.position);
        if (!comparison.present.contains(id))
            comparison.chosen.remove(id);
    }
    const Id max_seen = std::min(state_.cycle.ledger().max_seen(), comparison.last_value);
    state_.cycle.start(max_seen, std::move(comparison.gaps), std::move(comparison.chosen));
    state_.knowledge = DatabaseState::Knowledge::CURRENT;
    log::info("database \"{}\": the server was restarted; it lost {} notifications that had been delivered",
              database_, lost.size());
    state_.history.lose(lost);
    if (!lost.empty())
        handlers_.lost(std::move(lost));
    handlers_.ready();
}

} // namespace odoo_bus
