// Reads a row of bus_bus from the result of a statement (bus_statements.h).
#pragma once

#include "ledger/row.h"
#include "postgres/pg_connection.h"

namespace odoo_bus {

// Reads the columns id, channel, message, xmin, and create_date in microseconds.
Row row_at(const PgResult& result, int row);

} // namespace odoo_bus
