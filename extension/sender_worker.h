// sender_worker.h: the background worker that sends for bus_sendnow().
#pragma once

namespace odoo_bus {

// Whether this process is one.
bool is_sender();

} // namespace odoo_bus
