// What GET /clients.json answered, as tables. Every value of it is foreign.
#pragma once

#include <cstddef>

#include "base/json.h"
#include "commands/text_table.h"

namespace odoo_bus {

TextTable table_of_clients(const json_t* answer);
TextTable table_of_channels(const json_t* answer);
// Of all channels of the answer.
size_t subscribers_of(const json_t* answer);
// What is missing from the answer, in sentences; empty: nothing.
std::string incompleteness_of(const json_t* answer);

} // namespace odoo_bus
