// Reads a row of bus_bus from the result of a statement.
#include "database/row_at.h"

#include "base/fingerprint.h"

namespace odoo_bus {

Row row_at(const PgResult& result, int row) {
    const std::string_view channel = result.text(row, 1), message = result.text(row, 2),
                           xmin = result.text(row, 3);
    return {.id = result.number(row, 0),
            .channel = std::string(channel),
            .message = std::string(message),
            .fingerprint = fingerprint(message, fingerprint(channel, fingerprint(xmin))),
            .written = wall_time(result.number(row, 4))};
}

} // namespace odoo_bus
