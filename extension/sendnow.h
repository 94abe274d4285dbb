// sendnow.h: settings of bus_sendnow().
#pragma once

namespace odoo_bus {

extern int sendnow_lock_timeout; // odoo_bus.sendnow_lock_timeout, in ms
extern int sendnow_idle_timeout; // odoo_bus.sendnow_idle_timeout, in s

} // namespace odoo_bus
