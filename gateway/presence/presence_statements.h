// The statements on bus_presence and bus_presence_gateway.
#pragma once

#include <string>
#include <vector>

#include "postgres/statement.h"
#include "postgres/table_code.h"

namespace odoo_bus {

// Looks for the tables: a row for each of them, and for bus_bus with `notify`. Columns: the extension's
// schema, quoted; the table's name, quoted; its oid, NULL when it is missing; its attachments; the code that
// a statement on it would run besides PostgreSQL's own, or NULL.
std::string find_presence_tables(bool notify);

// `schema`: of the extension, quoted. `notify`: send `presence` notifications.
//
// guard: fails when one of `tables` is another one by now, or code was added to it.
std::vector<Statement> presence_statements(const std::string& schema, bool notify,
                                           const std::vector<SeenTable>& tables);

// Begins a transaction that no other gateway's overlaps. Until it ends no session can add triggers, rules,
// policies, defaults, constraints, indexes or statistics to the tables: they would run as the gateway's role.
std::string begin_presence(const std::string& schema);
// The message that executes a statement in that transaction, right after the guard: what was locked is still
// what the names mean. `notifies`: bus_bus is locked likewise.
std::string execute_presence(const std::string& schema, const std::string& name,
                             const std::vector<std::string>& parameters, bool notifies);

} // namespace odoo_bus
