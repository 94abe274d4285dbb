// What GET /clients.json answered, as tables.
#include "commands/client_tables.h"

#include <algorithm>

#include <spdlog/fmt/fmt.h>

#include "commands/figures.h"

namespace odoo_bus {

namespace {

std::string text(const json_t* row, const char* key, const char* otherwise = "") {
    const json_t* const value = json_object_get(row, key);
    const std::string text(json_is_string(value) ? json_string_value(value) : "",
                           json_is_string(value) ? json_string_length(value) : 0);
    return text.empty() ? otherwise : text;
}

double number(const json_t* row, const char* key) {
    return json_number_value(json_object_get(row, key));
}

} // namespace

TextTable table_of_clients(const json_t* answer) {
    constexpr auto right = TextTable::Align::right;
    TextTable table({{"ADDRESS"},
                     {"WAITING", right},
                     {"MEMORY", right},
                     {"OVER"},
                     {"DATABASE"},
                     {"CHANNELS", right},
                     {"CONNECTED", right}});
    const json_t* const rows = json_object_get(answer, "clients");
    for (size_t i = 0; i < json_array_size(rows); ++i) {
        const json_t* const row = json_array_get(rows, i);
        table.add(
            {text(row, "address", "not known"),
             json_is_true(json_object_get(row, "behind")) ? figures::bytes(number(row, "queued_bytes")) : "-",
             figures::bytes(number(row, "memory_bytes")), text(row, "transport"), text(row, "database", "-"),
             figures::count(number(row, "channels")),
             figures::duration(std::max(1.0, number(row, "connected_seconds")))});
    }
    return table;
}

TextTable table_of_channels(const json_t* answer) {
    TextTable table({{"SUBSCRIBERS", TextTable::Align::right}, {"CHANNEL"}, {"DATABASE"}});
    const json_t* const rows = json_object_get(answer, "channels");
    for (size_t i = 0; i < json_array_size(rows); ++i) {
        const json_t* const row = json_array_get(rows, i);
        table.add({figures::count(number(row, "subscribers")), text(row, "name"), text(row, "database")});
    }
    return table;
}

size_t subscribers_of(const json_t* answer) {
    double sum = 0;
    const json_t* const rows = json_object_get(answer, "channels");
    for (size_t i = 0; i < json_array_size(rows); ++i)
        sum += std::max(0.0, number(json_array_get(rows, i), "subscribers"));
    return static_cast<size_t>(std::min(sum, 1e15));
}

std::string incompleteness_of(const json_t* answer) {
    std::string missing;
    if (const double left_out = number(answer, "threads") - number(answer, "answered"); left_out > 0)
        missing = fmt::format("{:.0f} of {:.0f} threads did not answer in time and are left out. ", left_out,
                              number(answer, "threads"));
    if (json_is_false(json_object_get(answer, "complete")))
        missing += "There are too many channels to look at all of them.";
    return missing;
}

} // namespace odoo_bus
