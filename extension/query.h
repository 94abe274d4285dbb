// query.h: runs one SQL statement by SPI, without a saved plan. Operators in it are schema-qualified, since
// the caller's search_path may have others.
#pragma once

#include "pg.h"

namespace odoo_bus {

struct Parameter {
    Oid type;
    Datum value;
};

// Between SPI_connect() and SPI_finish(). Returns the number of rows; they are in SPI_tuptable.
uint64 run_query(const char* sql, std::initializer_list<Parameter> parameters, bool read_only);

void connect_spi();

} // namespace odoo_bus
