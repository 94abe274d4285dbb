// Whatever a statement returns as a row of bus_bus: it is read whole or left out, and breaks no other row's
// frame. The columns are separated by 0x1f; a missing one is NULL.
//
// Sources: gateway/database/row_reader.cpp gateway/postgres/pg_connection.cpp
// gateway/postgres/pooler_check.cpp gateway/protocol/frame.cpp gateway/protocol/received_frame.cpp
// gateway/base/json.cpp gateway/base/json_slice.cpp gateway/base/log.cpp
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

constexpr size_t CHANNEL = 1, MESSAGE = 2, COLUMNS = 5;
using Columns = std::array<std::optional<std::string>, COLUMNS>;

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

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    static const bool quiet = (log::configure(log::Level::error, log::Format::text), true);
    (void)quiet;
    const Columns columns = split({reinterpret_cast<const char*>(data), size});
    const PgResult result = result_of(columns);
    const Row row = read_row(result, 0);
    const std::string channel = columns[CHANNEL].value_or(""), message = columns[MESSAGE].value_or("");
    assert(row.channel == channel && row.fingerprint == read_fingerprint(result, 0));
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
        assert(read_fingerprint(result_of(moved), 0) != row.fingerprint);
    }
    return 0;
}
