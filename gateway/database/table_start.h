// Where to begin to read a table: with the table as it is, where an earlier process stopped, or after a
// restart of the server.
//
// Everything is asked on the database's connection. When that is lost nothing has happened, and it is done
// again on the next one.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

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

    TableStart(std::string database, Duration history_age, PgConnection& connection, const TableFacts& facts,
               DatabaseState& state, Handlers handlers)
        : database_(std::move(database)), history_age_(history_age), connection_(connection), facts_(facts),
          state_(state), handlers_(std::move(handlers)) {}

    // Where an earlier process of this gateway stopped, if it has left its state, else with the table as it
    // is.
    void begin();
    // With the table as it is: what is in it counts as dispatched, and what is missing in it as a gap.
    void adopt(bool missed);
    // The server was restarted, or another one was promoted: what it lost can have been dispatched, and its
    // ids can be drawn again. Reads the newest rows again and compares them by content.
    void compare();

private:
    void restore();
    void restore_rows(size_t from, std::vector<BatchPtr> kept);
    BatchPtr restored_batch(const PgResult& result, size_t from, size_t until, Monotonic after) const;
    void restored(std::vector<BatchPtr> kept);
    void adopt_rows(const PgResult& result, bool missed);
    void compare_rows(const PgResult& result, History::Newest& known);

    const std::string database_;
    const Duration history_age_;
    PgConnection& connection_;
    const TableFacts& facts_;
    DatabaseState& state_;
    const Handlers handlers_;
    std::optional<StateFile::Loaded> loaded_; // until it has been restored
};

} // namespace odoo_bus
