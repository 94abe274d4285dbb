// Whatever a statement returns as a row of bus_bus: it is read whole or left out, and breaks no other row's
// frame. The first byte chooses the encoding of the database. The columns are separated by 0x1f; a missing
// one is NULL.
//
// Sources: gateway/database/row_reader.cpp gateway/postgres/pg_connection.cpp
// gateway/postgres/pooler_check.cpp gateway/postgres/server_encoding.cpp gateway/protocol/frame.cpp
// gateway/protocol/received_frame.cpp gateway/base/json.cpp gateway/base/json_slice.cpp gateway/base/log.cpp
// gateway/metrics/metrics.cpp
#include "database/row_reader.h"

#include <array>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <spdlog/fmt/fmt.h>

#include "base/json.h"
#include "base/log.h"
#include "base/utf8.h"
#include "protocol/frame.h"
#include "protocol/received_frame.h"

using namespace odoo_bus;

namespace {

constexpr uint64_t MAX_ROW_BYTES = 1000;
constexpr const char* ENCODINGS[] = {"UTF8", "LATIN1", "EUC_JP", "SQL_ASCII"};
using Columns = std::array<std::optional<std::string>, ROW_COLUMNS>;

Columns split(std::string_view text) {
    Columns columns;
    for (auto& column : columns) {
        const size_t end = text.find('\x1f');
        column = text.substr(0, end);
        if (end == text.npos)
            break;
        text.remove_prefix(end + 1);
    }
    return columns;
}

// As the server sends text that it has not converted.
std::string hex(std::string_view bytes) {
    std::string digits;
    for (const char c : bytes)
        digits += fmt::format("{:02x}", static_cast<unsigned char>(c));
    return digits;
}

PgResult result_of(Columns columns) {
    PGresult* const result = PQmakeEmptyPGresult(nullptr, PGRES_TUPLES_OK);
    std::array<PGresAttDesc, ROW_COLUMNS> attributes{};
    std::string name = "column";
    for (auto& attribute : attributes)
        attribute.name = name.data();
    PQsetResultAttrs(result, ROW_COLUMNS, attributes.data());
    for (size_t i = 0; i < columns.size(); ++i)
        PQsetvalue(result, 0, static_cast<int>(i), columns[i] ? columns[i]->data() : nullptr,
                   columns[i] ? static_cast<int>(columns[i]->size()) : -1);
    return PgResult(result);
}

void check_element(const Row& row) {
    assert(!row.channel.empty() && is_utf8(row.channel) && is_utf8(row.element));
    const Json parsed = parse_lenient(row.element);
    const json_t* const id = json_object_get(parsed.get(), "id");
    assert(json_object_size(parsed.get()) == 2 && json_is_object(json_object_get(parsed.get(), "message")));
    assert(json_integer_value(id) == row.id);
    // Its neighbours in a frame are still there.
    Frame frame;
    const std::string neighbour = R"({"id":1,"message":{"type":"a","payload":0}})";
    frame.add(1, "", neighbour);
    frame.add(row.id, row.channel, row.element);
    frame.add(2, "", neighbour);
    const std::string bytes = std::move(frame).finish();
    const auto received = read_frame(bytes);
    assert(received && received->size() == 3);
    assert((*received)[0].text == neighbour && (*received)[1].text == row.element);
}

void check_fingerprint(const Columns& columns, uint64_t fingerprint) {
    assert(RowReader::is_same(result_of(columns), 0, fingerprint));
    // Bytes that move from one column to the next make another row.
    const std::string channel = columns[CHANNEL].value_or("");
    if (channel.empty())
        return;
    Columns moved = columns;
    moved[CHANNEL] = channel.substr(0, channel.size() - 1);
    moved[MESSAGE] = channel.substr(channel.size() - 1) + columns[MESSAGE].value_or("");
    assert(RowReader::fingerprint(result_of(moved), 0) != fingerprint);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    static const bool quiet = (log::configure(log::Level::error, log::Format::text), true);
    (void)quiet;
    if (size == 0)
        return 0;
    Columns columns = split({reinterpret_cast<const char*>(data) + 1, size - 1});
    const std::string id = *columns[ID], channel = columns[CHANNEL].value_or(""),
                      message = columns[MESSAGE].value_or("");
    const ServerEncoding encoding(ENCODINGS[data[0] % std::size(ENCODINGS)]);
    if (!encoding.is_utf8()) {
        columns[CHANNEL] = hex(channel);
        columns[MESSAGE] = hex(message);
    }

    metrics::Value left_out;
    RowReader reader(left_out);
    reader.configure(encoding, MAX_ROW_BYTES);
    const PgResult result = result_of(columns);
    const Row row = reader.read(result, 0), same = reader.read_new(result, 0);
    assert(row.id == same.id && row.channel == same.channel && row.element == same.element);
    assert(left_out.value() == (row.element.empty() ? 1 : 0));
    if (!id.empty() && id.size() < 19 && id[0] != '0' && id.find_first_not_of("0123456789") == id.npos)
        assert(std::to_string(row.id) == id);
    if (!row.element.empty()) {
        assert(result.number(0, BYTES) >= 0 && result.number(0, BYTES) <= int64_t{MAX_ROW_BYTES});
        check_element(row);
        if (encoding.is_utf8())
            assert(row.channel == channel && row.element.find(message) != row.element.npos);
    }
    check_fingerprint(columns, row.fingerprint);
    return 0;
}
