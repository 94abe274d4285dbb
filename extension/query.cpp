// query.cpp: runs one SQL statement by SPI, without a saved plan.
#include "query.h"

namespace odoo_bus {

void connect_spi() {
    if (SPI_connect() != SPI_OK_CONNECT)
        elog(ERROR, "SPI_connect failed");
}

uint64 run_query(const char* sql, std::initializer_list<Parameter> parameters, bool read_only) {
    constexpr int max_parameters = 4;
    Oid types[max_parameters];
    Datum values[max_parameters] = {};
    int count = 0;
    Assert(parameters.size() <= max_parameters);
    for (const Parameter& parameter : parameters) {
        types[count] = parameter.type;
        values[count] = parameter.value;
        ++count;
    }
    const int result = SPI_execute_with_args(sql, count, types, values, nullptr, read_only, 0);
    if (result < 0)
        elog(ERROR, "SPI_execute_with_args failed: %s", SPI_result_code_string(result));
    return SPI_processed;
}

} // namespace odoo_bus
