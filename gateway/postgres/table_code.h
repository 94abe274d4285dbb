// The code that a statement on a table can run besides PostgreSQL's own, with the rights of the role that
// executes it: functions in an index, a constraint or extended statistics, which the planner evaluates even
// for a SELECT; triggers, rules, defaults and policies for one that writes. The table's owner chooses it, and
// may be trusted less than that role.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace odoo_bus {

enum class TableUse { READ, WRITE };

// SQL, a text for people: the first code on the table that is not PostgreSQL's, or NULL. `oid`: SQL.
std::string table_code(const std::string& oid, TableUse use);

// SQL, a text: the oids of what is attached to the table, and of what its columns are made of.
std::string table_attachments(const std::string& oid);

// A table, or a sequence, that was looked at.
struct SeenTable {
    std::string name; // quoted, with its schema
    uint32_t oid = 0;
    std::string attachments; // empty for a sequence
};

// SQL, a statement that fails when one of them is another relation by now, or something was attached to it.
// It is made for the path of every notification: two look-ups in pg_depend for each table, which find
// nothing.
std::string table_guard(const std::vector<SeenTable>& tables);
// In the error of that statement.
inline constexpr const char* TABLE_HAS_CHANGED = "the table was altered or replaced; it is looked at again";

// Whatever standard_conforming_strings is.
std::string sql_literal(const std::string& text);

} // namespace odoo_bus
