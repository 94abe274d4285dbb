// The statements by which a gateway follows one bus_bus, prepared once for each connection.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/clock.h"
#include "database/table_facts.h"
#include "postgres/statement.h"

namespace odoo_bus {

// The first key of the advisory lock that every gateway holds, the second being its own, so that they know of
// each other.
inline constexpr int PEER_LOCK = 1868850034;

struct StatementBounds {
    int adopted_ids;      // how many of the newest ids are looked at when there is nothing to go on from
    int adopted_rows;     // and of how many the rows are kept
    Duration adopted_age; // if they are no older than this
};

// `gateway_key`: of this gateway's advisory lock.
//
// Those that return rows begin with the columns id, channel, message, xmin.
//
// read: $1 max_seen, $2 the greatest id that somebody chose, $3 how many rows: what is above either; fifth
// column: true for an id above the sequence's last value.
//
// holders: the transactions that hold the lock by which gaps are decided, and that the snapshot does not
// show.
//
// probe: $1, $2 the ends of the ranges, $3 how many rows: what is there, by id.
//
// check: one row: the sequence's last value, the table's oid, and how many other gateways there are.
//
// adopt: the newest ids, and the content of those that are young enough; fifth column: create_date in
// microseconds, sixth: true for an id above the sequence's last value.
//
// restore: $1 ids: their rows.
//
// compare: $1, $2: the rows above the one id up to the other, after a row whose fifth column is the
// sequence's last value.
std::vector<Statement> statements(const TableFacts& facts, uint32_t gateway_key,
                                  const StatementBounds& bounds);

} // namespace odoo_bus
