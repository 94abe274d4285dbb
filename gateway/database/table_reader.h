// Reads a table by cycles (ledger/read_cycle.h): at each doorbell, once a second without one, and while gaps
// are open.
#pragma once

#include <functional>
#include <string>

#include "base/timer.h"
#include "database/database_metrics.h"
#include "database/row_reader.h"
#include "database/table_facts.h"
#include "database/user_watch.h"
#include "ledger/database_state.h"
#include "postgres/pg_connection.h"

namespace odoo_bus {

class TableReader {
public:
    // What the server says about once a second.
    struct Check {
        Id last_value; // of the sequence
        uint32_t relation_oid;
        bool has_peers; // other gateways are connected
        bool is_asked;  // the database is to be copied, renamed or dropped
        bool ascends;   // the sequence is one by which the table can be followed
    };

    struct Handlers {
        // False when the result can be used; otherwise the connection was given up.
        std::function<bool(const PgResult& result, const char* what)> failed;
        // What is kept begins at `keep_from`. No batch: only that has changed.
        std::function<void(BatchPtr batch, Position keep_from)> publish;
        // False when the table is not to be read any more.
        std::function<bool(const Check& check)> checked;
        std::function<void()> tick; // about once a second
        // After pause(): the cycle that was under way is over.
        std::function<void()> paused;
    };

    TableReader(uv_loop_t* loop, PgConnection& connection, const RowReader& row_reader,
                const TableFacts& facts, DatabaseState& state, DatabaseMetrics& metrics, Handlers handlers)
        : connection_(connection), row_reader_(row_reader), facts_(facts), state_(state), metrics_(metrics),
          handlers_(std::move(handlers)), safety_(loop), recheck_(loop) {}

    // The table can be read on this connection; begins with a cycle.
    void start();
    // Begins no other cycle. True when one is under way: then `paused` is called.
    bool pause();
    // The connection was given up: what was asked is not answered any more.
    void stop();

    // Something may be new: reads, at once or after the read that is under way.
    void ring();

private:
    void tick();
    void cycle();
    void ask_next();
    void ask_read();
    void ask_holders();
    void ask_probe();
    // Publishes the rows that `next` returns: what the ledger decides by the statement.
    void publish(const std::function<std::vector<Row>()>& next);
    void dispatch(std::vector<Row> rows);
    void finish();
    void check();
    void rest();

    PgConnection& connection_;
    const RowReader& row_reader_;
    const TableFacts& facts_;
    DatabaseState& state_;
    DatabaseMetrics& metrics_;
    const Handlers handlers_;
    Timer safety_;             // a cycle without any doorbell
    Timer recheck_;            // a cycle because gaps are open
    Monotonic begun_ = {};     // when the cycle was, before its snapshot
    bool runs_ = false;        // cycles may begin
    bool in_snapshot_ = false; // the cycle is inside a transaction, so that its statements have one snapshot
    bool is_ticked_ = false;   // the cycle is to look at the sequence and the table, too
};

} // namespace odoo_bus
