// query.h: one SQL statement by SPI, for what is not worth a kept plan. Its operators name their schema,
// since the caller's search_path may hold others.
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
