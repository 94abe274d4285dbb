// Reads rows of bus_bus from the columns that every statement that returns rows begins with
// (bus_statements.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "ledger/row.h"
#include "metrics/metrics.h"
#include "postgres/pg_connection.h"
#include "postgres/server_encoding.h"

namespace odoo_bus {

// The first columns.
enum RowColumn { ID, CHANNEL, MESSAGE, XMIN, CREATED, BYTES, FOUND, ROW_COLUMNS };

class RowReader {
public:
    // `left_out`: counts the rows that cannot be delivered.
    explicit RowReader(metrics::Value& left_out) : left_out_(left_out) {}
    void configure(ServerEncoding encoding, uint64_t max_row_bytes);

    // The message is validated here, and nowhere after: a row that no client could read comes without an
    // element.
    Row read(const PgResult& result, int row) const;
    // The same of a row that is seen for the first time: one that cannot be delivered is logged and counted.
    Row read_new(const PgResult& result, int row) const;

    // Of what a row is: its channel, message and date. Its id is compared by the caller.
    static uint64_t fingerprint(const PgResult& result, int row);
    // The row is the one that had this fingerprint; also by the former rule, which older state files follow:
    // it counted the transaction that wrote the row, so that each row of a rewritten table was another one.
    static bool is_same(const PgResult& result, int row, uint64_t fingerprint);

    // There are more rows, which the bounds of the statement left out after these.
    static bool is_cut(const PgResult& result);

private:
    Row read(const PgResult& result, int row, std::string& problem) const;
    std::optional<std::string> element(const PgResult& result, int row, std::string& problem) const;

    metrics::Value& left_out_;
    ServerEncoding encoding_;
    uint64_t max_row_bytes_ = 0;
};

} // namespace odoo_bus
