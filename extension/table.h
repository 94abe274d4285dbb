// table.h: bus_bus in the extension's schema, found anew at every call and locked before anything is drawn
// from it.
#pragma once

#include "pg.h"

namespace odoo_bus {

// What an INSERT needs to know about the table. Holds no pointer, so that it may be copied out of the cache.
struct BusColumns {
    Oid relid;
    AttrNumber id, channel, message, create_date, write_date;
    bool id_is_int8;
    // The sequence of a default nextval(...) or of an identity column; invalid for any other default.
    Oid sequence;
    bool id_is_identity;
    // An INSERT needs no more than the row, its indexes and its row triggers after the fact: see insert.cpp.
    bool plain;
};

struct BusTable {
    Relation relation;
    BusColumns columns;
};

// The schema that the called function lives in, which is the extension's.
Oid extension_schema(FunctionCallInfo fcinfo);

// The quoted name schema.bus_bus, after checking that there is such a table.
const char* bus_table_name(Oid schema);

// Opens the table in RowExclusiveLock mode, kept until the end of the transaction, and checks that the caller
// may insert: the lock precedes every id that is drawn, by which a reader knows when an id that it misses
// will not come.
BusTable open_bus_table_for_insert(Oid schema);

// The sequence of the ids, or InvalidOid. The table must be locked.
Oid bus_sequence(Oid schema, bool* id_is_int8);

void register_table_callbacks();

} // namespace odoo_bus
