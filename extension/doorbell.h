// doorbell.h: the channels of a transaction's notifications, announced once when it commits.
#pragma once

#include "insert.h"

namespace odoo_bus {

extern bool notify_enabled; // odoo_bus.notify

// Remembers the channels until the (sub)transaction ends.
void ring_at_commit(std::span<const Notification> notifications);

void register_doorbell_callbacks();

} // namespace odoo_bus
