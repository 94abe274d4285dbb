// table.h: bus_bus in the extension's schema, looked up at every call and locked before an id is drawn.
#pragma once

#include "pg.h"

namespace odoo_bus {

// The properties of the table that an INSERT needs. Without pointers, so that it can be copied from the
// cache.
struct BusColumns {
    Oid relid;
    AttrNumber id, channel, message, create_date, write_date;
    bool id_is_int8;
    // The sequence of a default nextval(...) or of an identity column; invalid for any other default.
    Oid sequence;
    bool id_is_identity;
    // An INSERT consists of the row, its indexes and AFTER ROW triggers: see insert.cpp.
    bool plain;
};

struct BusTable {
    Relation relation;
    BusColumns columns;
};

// The schema of the called function, which is the extension's.
Oid extension_schema(FunctionCallInfo fcinfo);

using BusColumn = AttrNumber BusColumns::*;

// The quoted name schema.bus_bus. Raises an error if there is no such table, or if it is a view: what a view
// calls would run as the reader; or if the caller may not read these columns, or not delete rows. The table
// is locked until the end of the transaction.
const char* readable_bus_table(Oid schema, std::initializer_list<BusColumn> columns);
const char* deletable_bus_table(Oid schema);

// Opens the table in RowExclusiveLock mode, kept until the end of the transaction, and checks that the caller
// may insert. The lock precedes every id that is drawn: a reader decides by it when a missing id is dead.
BusTable open_bus_table_for_insert(Oid schema);

// Raises the errors that open_bus_table_for_insert() would raise, and keeps no lock. Checks nothing while
// another transaction changes the table.
void check_that_caller_may_insert(Oid schema);

// The sequence of the ids, or InvalidOid. The table must be locked.
Oid bus_sequence(Oid schema, bool* id_is_int8);

void register_table_callbacks();

} // namespace odoo_bus
