// The statements on bus_presence and bus_presence_gateway.
#pragma once

#include <string>
#include <vector>

#include "postgres/statement.h"

namespace odoo_bus {

// `schema`: of the extension, quoted. `notify`: send `presence` notifications.
std::vector<Statement> presence_statements(const std::string& schema, bool notify);

// Begins a transaction that no other gateway's overlaps.
extern const char* const BEGIN_PRESENCE;

} // namespace odoo_bus
