// Whatever a statement returns as a row of bus_bus: it is read whole or left out, and breaks no other row's
// frame. The columns are separated by 0x1f; a missing one is NULL. Behind them the encoding of the database
// may be named, whose texts come as bytes in hex.
#include "database/row_reader.h"

#include <array>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/json.h"
#include "base/log.h"
#include "base/utf8.h"
#include "protocol/frame.h"
#include "protocol/received_frame.h"

using namespace odoo_bus;

namespace {

constexpr size_t COLUMNS = ROW_COLUMNS, ENCODING = COLUMNS;
constexpr uint64_t MAX_ROW_BYTES = 1000;
using Columns = std::array<std::optional<std::string>, COLUMNS + 1>;

const metrics::Family left_out("rows_left_out", "Of this test.", metrics::Type::counter);

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

std::string hex(std::string_view bytes) {
    std::string digits;
    for (const char c : bytes)
        for (const int nibble : {static_cast<unsigned char>(c) >> 4, c & 15})
            digits += "0123456789abcdef"[nibble];
    return digits;
}

PgResult result_of(Columns columns) {
    PGresult* const result = PQmakeEmptyPGresult(nullptr, PGRES_TUPLES_OK);
    std::array<PGresAttDesc, COLUMNS> attributes{};
    std::string name = "column";
    for (auto& attribute : attributes)
        attribute.name = name.data();
    PQsetResultAttrs(result, COLUMNS, attributes.data());
    for (size_t i = 0; i < COLUMNS; ++i)
        PQsetvalue(result, 0, static_cast<int>(i), columns[i] ? columns[i]->data() : nullptr,
                   columns[i] ? static_cast<int>(columns[i]->size()) : -1);
    return PgResult(result);
}

void check_element(const Row& row, std::string_view message) {
    assert(!row.channel.empty() && is_utf8(row.element) && row.element.find(message) != row.element.npos);
    const Json parsed = parse_lenient(row.element);
    const json_t* const id = json_object_get(parsed.get(), "id");
    assert(json_object_size(parsed.get()) == 2 && json_is_object(json_object_get(parsed.get(), "message")));
    // Beside an integer of more than 64 bits all numbers are read as reals.
    assert(json_number_value(id) == static_cast<double>(row.id));
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

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    static const bool quiet = (log::configure(log::Level::error, log::Format::text), true);
    (void)quiet;
    Columns columns = split({reinterpret_cast<const char*>(data), size});
    const std::string channel = columns[CHANNEL].value_or(""), message = columns[MESSAGE].value_or("");
    const ServerEncoding encoding(columns[ENCODING].value_or("UTF8"));
    if (!encoding.is_utf8())
        for (const size_t text : {CHANNEL, MESSAGE})
            columns[text] = hex(columns[text].value_or(""));
    const PgResult result = result_of(columns);
    RowReader reader(left_out.with());
    reader.configure(encoding, MAX_ROW_BYTES);
    const Row row = reader.read(result, 0);
    assert(row.fingerprint == RowReader::fingerprint(result, 0));
    assert(RowReader::is_same(result, 0, row.fingerprint));
    const double before = left_out.with().value();
    const Row same = reader.read_new(result, 0);
    assert(same.channel == row.channel && same.element == row.element && same.fingerprint == row.fingerprint);
    assert(left_out.with().value() - before == (row.element.empty() ? 1 : 0));
    assert(is_utf8(row.channel) && row.channel.empty() == row.element.empty());
    assert(result.number(0, BYTES) <= static_cast<int64_t>(MAX_ROW_BYTES) || row.element.empty());
    if (!encoding.is_utf8()) {
        if (!row.element.empty())
            check_element(row, "");
        return 0;
    }
    assert(row.element.empty() || row.channel == channel);
    const std::string& id = *columns[0];
    if (!id.empty() && id.size() < 19 && id[0] != '0' && id.find_first_not_of("0123456789") == id.npos)
        assert(std::to_string(row.id) == id);
    if (!row.element.empty())
        check_element(row, message);
    // Bytes that move from one column to the next make another row.
    if (!channel.empty()) {
        Columns moved = columns;
        moved[CHANNEL] = channel.substr(0, channel.size() - 1);
        moved[MESSAGE] = channel.substr(channel.size() - 1) + message;
        assert(RowReader::fingerprint(result_of(moved), 0) != row.fingerprint);
    }
    return 0;
}
