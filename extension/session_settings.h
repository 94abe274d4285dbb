// session_settings.h: the settings of the calling session, under which the worker of bus_sendnow() runs what
// the insertion fires.
#pragma once

#include "pg.h"

namespace odoo_bus {

struct SessionSettings {
    StringInfoData text; // for each: a letter of the context, the name and the value, each ended by 0
    // Of the names of settings that no library has defined. PostgreSQL cannot forget such a name, so a worker
    // serves only sessions that have the same.
    uint64 custom_names;
};

// All that SET can change and that is not at its built-in default.
SessionSettings own_settings();

// For the worker: sets them until the end of the transaction. What is not among them gets its built-in
// default, whatever the worker's own role and database have set.
void adopt_settings(const char* text, std::size_t length);

// For the worker, between transactions: nothing that the last one has left in the session stays, as after
// DISCARD ALL; plans are kept.
void discard_session_state();

} // namespace odoo_bus
