// Where to begin to read a table: with the table as it is, where an earlier process stopped, or after a
// restart of the server.
//
// Everything is asked on the database's connection. When that is lost nothing has happened, and it is done
// again on the next one.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "database/row_reader.h"
#include "database/table_facts.h"
#include "ledger/database_state.h"
#include "postgres/pg_connection.h"

namespace odoo_bus {

class TableStart {
public:
    // Of a table that was not read before: this many of its newest ids are looked at for gaps, and of this
    // many the rows are kept, for clients that come back.
    static constexpr int ADOPTED_IDS = 100'000;
    static constexpr int ADOPTED_ROWS = 10'000;

    struct Handlers {
        // False when the result can be used; otherwise the connection was given up.
        std::function<bool(const PgResult& result, const char* what)> failed;
        // The history begins anew after `head`. `missed`: clients may have missed something for good.
        std::function<void(std::vector<BatchPtr> kept, Position head, bool missed)> begun;
        // The server has lost what stands at these positions.
        std::function<void(std::vector<Position> positions)> lost;
        // The table can be read now.
        std::function<void()> ready;
    };

    TableStart(std::string database, History::Bounds history, PgConnection& connection,
               const RowReader& row_reader, const TableFacts& facts, DatabaseState& state, Handlers handlers)
        : database_(std::move(database)), history_(history), connection_(connection), row_reader_(row_reader),
          facts_(facts), state_(state), handlers_(std::move(handlers)) {}

    // Where an earlier process of this gateway stopped, if it has left its state, else with the table as it
    // is.
    void begin();
    // With the table as it is: what is in it counts as dispatched, and what is missing in it as a gap.
    void adopt(bool missed);
    // The server was restarted, or another one was promoted: what it lost can have been dispatched, and its
    // ids can be drawn again. Reads the newest rows again and compares them by content.
    void compare();

private:
    using Kept = std::vector<BatchPtr>;
    // Rows that stood in the table when the server was restarted, and of the known ones those that still do.
    struct Comparison;

    // The rows of the first of `ids`, as many as one result holds; `fetched` is told how many ids it is
    // about.
    void fetch(std::span<const Id> ids, const char* what,
               std::function<void(const PgResult& result, size_t count)> fetched);
    void restore();
    void restore_rows(size_t from, Kept kept);
    BatchPtr restored_batch(const PgResult& result, size_t from, size_t until, Monotonic after) const;
    void restored(Kept kept);
    void adopt_ids(const PgResult& result, bool missed);
    void adopt_rows(std::vector<Id> ids, size_t from, Kept kept, bool missed);
    void adopted(Kept kept, bool missed);
    void compare_rows(std::shared_ptr<Comparison> comparison);
    void compared(Comparison& comparison);

    const std::string database_;
    const History::Bounds history_;
    PgConnection& connection_;
    const RowReader& row_reader_;
    const TableFacts& facts_;
    DatabaseState& state_;
    const Handlers handlers_;
    std::optional<StateFile::Loaded> loaded_; // until it has been restored
};

} // namespace odoo_bus
