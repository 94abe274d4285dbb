// A row of bus_bus as it was read.
#pragma once

#include <cstdint>
#include <string>

#include "ledger/id_set.h"
#include "postgres/pg_connection.h"

namespace odoo_bus {

struct Row {
    Id id;
    std::string channel;
    std::string message;
    uint64_t fingerprint;   // of the transaction that wrote it, and of its content
    int64_t written_us = 0; // its create_date, the begin of its transaction; 0: it has none
    int64_t dispatched_us = 0;
    bool ahead = false; // its id stands above the sequence's last value: somebody chose it
};

// Reads the columns id, channel, message, xmin, and create_date in microseconds.
Row row_at(const PgResult& result, int row);

} // namespace odoo_bus
