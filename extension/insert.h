// insert.h: inserts rows into bus_bus, with the caller's privileges.
#pragma once

#include "table.h"

namespace odoo_bus {

struct Notification {
    text* channel; // as stored
    text* message; // as stored
};

// Draws the ids in order and inserts one row for each notification, as one statement.
void insert_notifications(Oid schema, std::span<const Notification> notifications, int64* ids);

} // namespace odoo_bus
