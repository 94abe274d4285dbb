// doorbell.h: what a transaction is to announce, announced once when it commits.
#pragma once

#include "insert.h"

namespace odoo_bus {

extern bool notify_enabled; // odoo_bus.notify

// These remember it until the (sub)transaction ends: the channels of notifications, and a NOTIFY of valid
// lengths, for those who listen in this database.
void ring_at_commit(std::span<const Notification> notifications);
void notify_at_commit(std::string_view channel, std::string_view payload);

void register_doorbell_callbacks();

} // namespace odoo_bus
