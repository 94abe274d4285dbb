// Reads a table by cycles: see table_reader.h.
#include "database/table_reader.h"

#include <new>
#include <utility>
#include <vector>

#include <spdlog/fmt/fmt.h>

#include "database/bus_statements.h"
#include "postgres/pg_array.h"

namespace odoo_bus {

namespace {

// Without any doorbell the table is read this often.
constexpr uint64_t SAFETY_MS = 1000;

// Where locks cannot be seen: an INSERT writes its row within ten seconds after it has drawn the id. Times
// are in whole seconds, which costs one.
constexpr std::chrono::seconds RIPE(11);

int64_t seconds(Monotonic time) {
    return std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
}

} // namespace

void TableReader::start() {
    runs_ = true;
    tick();
}

bool TableReader::pause() {
    runs_ = false;
    safety_.stop();
    recheck_.stop();
    return state_.cycle.is_under_way();
}

void TableReader::stop() {
    pause();
    in_snapshot_ = false;
    state_.cycle.abandon();
}

void TableReader::ring() {
    state_.cycle.ring();
    metrics_.doorbells.add();
    cycle();
}

void TableReader::tick() {
    is_ticked_ = true;
    safety_.start(SAFETY_MS, [this] { tick(); });
    cycle();
    handlers_.tick();
}

void TableReader::cycle() {
    if (!runs_ || !state_.cycle.begin())
        return;
    metrics_.reads.add();
    begun_ = MonotonicClock::now();
    ask_next();
}

void TableReader::ask_next() {
    switch (state_.cycle.next()) {
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

void TableReader::ask_read() {
    const ReadCycle::Read read = state_.cycle.read();
    const PgConnection::OnResult on_result = [this](const PgResult& result) {
        if (handlers_.failed(result, "read"))
            return;
        std::vector<Row> rows;
        for (int row = 0; row < result.rows(); ++row) {
            rows.push_back(row_reader_.read_new(result, row));
            rows.back().ahead = result.boolean(row, ROW_COLUMNS);
        }
        publish([&] { return state_.cycle.saw(std::move(rows), RowReader::is_cut(result)); });
        ask_next();
    };
    in_snapshot_ = read.keeps_snapshot;
    const std::string execute =
        fmt::format("EXECUTE read ({}, {}, {})", read.max_seen, read.chosen, read.rows);
    connection_.script(in_snapshot_ ? begin_snapshot(facts_) + execute : on_table(facts_, execute),
                       on_result);
}

void TableReader::ask_holders() {
    const char* const execute = "EXECUTE holders";
    connection_.script(in_snapshot_ ? execute : in_transaction(execute), [this](const PgResult& result) {
        if (handlers_.failed(result, "holders"))
            return;
        std::vector<Holder> holders;
        for (int row = 0; row < result.rows(); ++row)
            holders.push_back(parse_holder(result.text(row, 0)));
        const Ripeness ripeness{.now = seconds(MonotonicClock::now()), .ripe = seconds(begun_ - RIPE)};
        publish(
            [&] { return state_.cycle.hold(std::move(holders), facts_.sees_locks ? Ripeness{} : ripeness); });
        ask_next();
    });
}

void TableReader::ask_probe() {
    std::vector<Id> firsts, lasts;
    for (const IdRange& range : state_.cycle.probe_ranges()) {
        firsts.push_back(range.first);
        lasts.push_back(range.last);
    }
    const std::string execute = fmt::format("EXECUTE probe ('{}', '{}', {})", pg_array(firsts),
                                            pg_array(lasts), state_.cycle.probe_rows());
    connection_.script(in_snapshot_ ? execute : on_table(facts_, execute), [this](const PgResult& result) {
        if (handlers_.failed(result, "probe"))
            return;
        std::vector<Row> rows;
        for (int row = 0; row < result.rows(); ++row)
            rows.push_back(row_reader_.read_new(result, row));
        publish([&] { return state_.cycle.probed(std::move(rows), RowReader::is_cut(result)); });
        ask_next();
    });
}

void TableReader::publish(const std::function<std::vector<Row>()>& next) {
    try {
        dispatch(next());
    } catch (const std::bad_alloc&) {
        // The ledger may know rows that nobody was given: it begins anew, and clients are told.
        state_.knowledge = DatabaseState::Knowledge::OUTDATED;
        throw;
    }
}

void TableReader::dispatch(std::vector<Row> rows) {
    if (rows.empty())
        return;
    const Monotonic now = MonotonicClock::now();
    const WallTime wall = WallClock::now();
    for (Row& row : rows) {
        row.dispatched = now;
        if (row.written != WallTime())
            row.delay = wall - row.written;
    }
    BatchPtr batch = state_.dispatch(std::move(rows));
    if (!batch)
        return;
    metrics_.notifications.add(static_cast<double>(batch->size()));
    handlers_.publish(std::move(batch), state_.history.trim(now));
}

void TableReader::finish() {
    if (std::exchange(in_snapshot_, false))
        connection_.script("COMMIT",
                           [this](const PgResult& result) { handlers_.failed(result, "end of a read"); });
    state_.read = MonotonicClock::now();
    const bool is_ticked = std::exchange(is_ticked_, false);
    if (is_ticked || state_.needs_checkpoint())
        state_.write_checkpoint();
    if (!is_ticked)
        return rest();
    metrics_.update(state_.cycle.ledger(), state_.history, state_.read);
    check();
}

void TableReader::check() {
    connection_.script(on_table(facts_, R"(EXECUTE "check")"), [this](const PgResult& result) {
        if (handlers_.failed(result, "check"))
            return;
        const Check check{.last_value = result.number(0, 0),
                          .relation_oid = static_cast<uint32_t>(result.number(0, 1)),
                          .has_peers = result.number(0, 2) > 0,
                          .is_asked = result.number(0, 3) > 0,
                          .ascends = result.boolean(0, 4)};
        if (!handlers_.checked(check))
            return;
        const Position before = state_.history.oldest();
        if (const Position oldest = state_.history.trim(MonotonicClock::now()); oldest != before)
            handlers_.publish(nullptr, oldest);
        rest();
    });
}

// The cycle is over.
void TableReader::rest() {
    const auto next = state_.cycle.rest();
    if (!runs_)
        return handlers_.paused();
    if (!next)
        return;
    if (*next == next->zero())
        return cycle();
    recheck_.start(static_cast<uint64_t>(next->count()), [this] { cycle(); });
}

} // namespace odoo_bus
