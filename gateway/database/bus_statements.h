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

// The content of the rows of one result, in bytes: a result is cut before it exceeds this, behind its first
// row.
inline constexpr int64_t PORTION_BYTES = 8 << 20;

// Rows of one result of compare and replay.
inline constexpr int PAGE_ROWS = 200;

struct StatementBounds {
    uint64_t max_row_bytes = 0; // channel and message together; the content of a larger row is not read
    int adopted_ids = 0;       // number of the newest ids that are looked at without a state to continue from
    int adopted_rows = 0;      // number of them whose rows are kept
    Duration adopted_age = {}; // maximum age of such rows
};

// `gateway_key`: of this gateway's advisory lock.
//
// Those that return rows begin with the columns that database/row_reader.h reads, and return a part of the
// rows, from the first one, when PORTION_BYTES are exceeded: RowReader::is_cut() tells.
//
// read: $1 max_seen, $2 the greatest chosen id that is known, $3 the number of rows of each kind: rows above
// either; last column: true for an id above the sequence's last value.
//
// holders: the transactions that hold the lock by which gaps are decided, and that the snapshot does not
// show. Where locks cannot be seen: those that have written, and are in progress in the snapshot.
//
// probe: $1, $2 the ends of the ranges, $3 how many rows: what is there, by id.
//
// check: one row: the sequence's last value, the table's oid, the number of other gateways, the number of
// sessions that are about to copy, rename or drop the database, and whether the sequence still ascends.
//
// adopt: of the newest rows: id, bytes of content, whether the id is above the sequence's last value, whether
// the row is young enough to be kept.
//
// fetch_rows: $1 ids: their rows, in this order; last column: the place in the array, from 1.
//
// last_value: of the sequence.
//
// compare: $1, $2: the first rows above the one id up to the other.
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

// Of the connection on which what clients have missed is read from the table.
//
// begin: a transaction with the guard, in which the others are asked.
//
// replay: $1 an id, $2 channels as stored: the first rows of these channels above the id.
//
// exists: $1 an id: whether there is such a row.
std::vector<Statement> replay_statements(const TableFacts& facts, uint64_t max_row_bytes);

} // namespace odoo_bus
