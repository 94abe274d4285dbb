// Rows of bus_bus, made of the columns that every statement begins with.
#include "database/row_reader.h"

#include <utility>

#include <spdlog/fmt/fmt.h>

#include "base/fingerprint.h"
#include "base/log.h"
#include "protocol/frame.h"

namespace odoo_bus {

namespace {

uint64_t former_fingerprint(const PgResult& result, int row) {
    return fingerprint(result.text(row, MESSAGE),
                       fingerprint(result.text(row, CHANNEL), fingerprint(result.text(row, XMIN))));
}

} // namespace

void RowReader::configure(ServerEncoding encoding, uint64_t max_row_bytes) {
    encoding_ = std::move(encoding);
    max_row_bytes_ = max_row_bytes;
}

uint64_t RowReader::fingerprint(const PgResult& result, int row) {
    uint64_t hash = odoo_bus::fingerprint(result.text(row, CREATED));
    for (const RowColumn column : {BYTES, CHANNEL, MESSAGE})
        hash = odoo_bus::fingerprint(result.text(row, column), hash);
    return hash;
}

bool RowReader::is_same(const PgResult& result, int row, uint64_t known) {
    return fingerprint(result, row) == known || former_fingerprint(result, row) == known;
}

bool RowReader::is_cut(const PgResult& result) {
    return result.rows() > 0 && result.number(0, FOUND) > result.rows();
}

Row RowReader::read(const PgResult& result, int row) const {
    std::string problem;
    return read(result, row, problem);
}

Row RowReader::read_new(const PgResult& result, int row) const {
    std::string problem;
    Row read = this->read(result, row, problem);
    if (!problem.empty()) {
        left_out_.add();
        static log::Limited lines("rows that cannot be delivered", 5);
        lines.write(log::Level::warning, "row {} of bus_bus cannot be delivered: {}", read.id, problem);
    }
    return read;
}

Row RowReader::read(const PgResult& result, int row, std::string& problem) const {
    Row read{.id = result.number(row, ID),
             .fingerprint = fingerprint(result, row),
             .written = wall_time(result.number(row, CREATED))};
    auto element = this->element(result, row, problem);
    if (!element)
        return read;
    auto channel = encoding_.decode(result.text(row, CHANNEL));
    if (!channel) {
        problem = "its channel is not text in the encoding of the database";
    } else if (channel->empty()) {
        problem = "its channel is empty";
    } else {
        read.channel = std::move(*channel);
        read.element = std::move(*element);
    }
    return read;
}

std::optional<std::string> RowReader::element(const PgResult& result, int row, std::string& problem) const {
    if (const auto bytes = static_cast<uint64_t>(result.number(row, BYTES)); bytes > max_row_bytes_) {
        problem = fmt::format("it has {} bytes, and --max-row-bytes is {}", bytes, max_row_bytes_);
        return std::nullopt;
    }
    const Id id = result.number(row, ID);
    if (encoding_.is_utf8())
        return make_element(id, result.text(row, MESSAGE), problem);
    if (const auto message = encoding_.decode(result.text(row, MESSAGE)))
        return make_element(id, *message, problem);
    problem = "the message is not text in the encoding of the database";
    return std::nullopt;
}

} // namespace odoo_bus
