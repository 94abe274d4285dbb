// The settings that every session of ours begins with, before any other statement, whatever ALTER DATABASE,
// ALTER ROLE or a pooler has set: nothing but PostgreSQL's own functions, operators and types is found by an
// unqualified name, and no setting bends what a statement returns.
//
// They are set by statements: a pooler rejects parameters of the startup message that it does not know, and
// so does a release of PostgreSQL, whereas here settings that a release does not have are left out.
#pragma once

#include <cstdint>
#include <string>

namespace odoo_bus {

enum class SessionUse {
    READS,  // its transactions are read-only
    WRITES, // the tables of presence
    CALLS,  // calls a function of the operator, for which settings that it can see stay those of the database
};

// The schemas of the search_path that the session began with, as text of name[]; there Odoo's tables are.
inline constexpr const char* FORMER_SCHEMAS = "odoo_bus_gateway.schemas";

// For the rest of the session.
std::string pin_session(SessionUse use);
// Until the transaction ends, so that no state stays in a pooler.
std::string pin_transaction(SessionUse use);
// For the rest of the session when its backend is `process`, else until the transaction ends. Returns the
// backend.
std::string pin_unless_pooled(SessionUse use, int64_t process);

} // namespace odoo_bus
