// insert.h: rows written into bus_bus, with the caller's rights.
#pragma once

#include "table.h"

namespace odoo_bus {

struct Notification {
    text* channel; // as stored
    text* message; // as stored
};

// Draws the ids in order and writes one row for each notification, as one statement.
void insert_notifications(Oid schema, std::span<const Notification> notifications, int64* ids);

} // namespace odoo_bus
