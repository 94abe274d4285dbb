// The statements by which a gateway follows one bus_bus, prepared once for each connection.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/clock.h"
#include "database/table_facts.h"
#include "postgres/statement.h"

namespace odoo_bus {

// The first key of the advisory lock that every gateway holds, so that they know of each other; the second
// key is its own.
inline constexpr int PEER_LOCK = 1868850034;

struct StatementBounds {
    int adopted_ids;      // number of the newest ids that are looked at without a state to continue from
    int adopted_rows;     // number of them whose rows are kept
    Duration adopted_age; // maximum age of such rows
};

// `gateway_key`: of this gateway's advisory lock.
//
// Those that return rows begin with the columns that database/row_reader.h reads.
//
// read: $1 max_seen, $2 the greatest chosen id that is known, $3 the number of rows of each kind: rows above
// either; sixth column: true for an id above the sequence's last value.
//
// holders: the transactions that hold the lock by which gaps are decided, and that the snapshot does not
// show.
//
// probe: $1, $2 the ends of the ranges, $3 how many rows: what is there, by id.
//
// check: one row: the sequence's last value, the table's oid, the number of other gateways, and the number of
// sessions that are about to copy, rename or drop the database.
//
// adopt: the newest ids, and the content of those that are young enough; sixth column: true for an id above
// the sequence's last value.
//
// restore: $1 ids: their rows.
//
// compare: $1, $2: the rows above the one id up to the other, after a row whose sixth column is the
// sequence's last value.
//
// guard: fails when the table is not the one of `facts` any more.
std::vector<Statement> statements(const TableFacts& facts, uint32_t gateway_key,
                                  const StatementBounds& bounds);

// The message by which statements are executed, each in a transaction that cannot write whatever the
// session's settings are by then, and on the table with the guard before: an index that its owner adds is
// found before a plan is made that evaluates it.
std::string in_transaction(const std::string& execute);
std::string on_table(const TableFacts& facts, const std::string& execute);
// What follows has one snapshot, until COMMIT.
std::string begin_snapshot(const TableFacts& facts);

} // namespace odoo_bus
