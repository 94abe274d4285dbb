// doorbell.h: the channels that a transaction has sent to, announced once when it commits.
#pragma once

#include "pg.h"

namespace odoo_bus {

extern bool notify_enabled; // odoo_bus.notify

// Remembers the channel until the (sub)transaction ends.
void ring_at_commit(const text* channel);

void register_doorbell_callbacks();

} // namespace odoo_bus
