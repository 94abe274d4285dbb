// Connection strings, as libpq reads them.
#pragma once

#include <string>
#include <vector>

namespace odoo_bus {

// The database that it names, or that libpq would choose; empty, and why in `error`, when it is not valid.
std::string database_of(const std::string& conninfo, std::string& error);

// Empty, or why libpq ignores the file that `passfile` names.
std::string judge_passfile(const std::string& conninfo);

// Of the files of TLS that it names those that cannot be read: which, and why.
std::vector<std::string> unreadable_files(const std::string& conninfo);

// The same connection string, for another database.
std::string with_database(const std::string& conninfo, const std::string& database);

} // namespace odoo_bus
