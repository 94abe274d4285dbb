// Reads rows of bus_bus from a result whose columns begin with id, channel, message, xmin, and create_date in
// microseconds.
#pragma once

#include <cstdint>

#include "ledger/row.h"
#include "postgres/pg_connection.h"

namespace odoo_bus {

// The message is validated here, and nowhere after: a row that no client could read is logged, and comes
// without an element.
Row read_row(const PgResult& result, int row);

// The row's fingerprint alone.
uint64_t read_fingerprint(const PgResult& result, int row);

} // namespace odoo_bus
