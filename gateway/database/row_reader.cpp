// Rows of bus_bus, made of the columns that every statement begins with.
#include "database/row_reader.h"

#include "base/fingerprint.h"
#include "base/log.h"
#include "protocol/frame.h"

namespace odoo_bus {

namespace {

enum Column { ID, CHANNEL, MESSAGE, XMIN, CREATED };

void warn(Id id, const std::string& why) {
    static log::Limited lines("rows that cannot be delivered", 5);
    lines.write(log::Level::warning, "row {} of bus_bus cannot be delivered: {}", id, why);
}

} // namespace

uint64_t read_fingerprint(const PgResult& result, int row) {
    return fingerprint(result.text(row, MESSAGE),
                       fingerprint(result.text(row, CHANNEL), fingerprint(result.text(row, XMIN))));
}

Row read_row(const PgResult& result, int row) {
    Row read{.id = result.number(row, ID),
             .channel = std::string(result.text(row, CHANNEL)),
             .fingerprint = read_fingerprint(result, row),
             .written = wall_time(result.number(row, CREATED))};
    std::string error;
    auto element = make_element(read.id, result.text(row, MESSAGE), error);
    if (!element)
        warn(read.id, error);
    else if (read.channel.empty())
        warn(read.id, "its channel is empty");
    else
        read.element = std::move(*element);
    return read;
}

} // namespace odoo_bus
