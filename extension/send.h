// send.h: the common part of all sending functions.
#pragma once

#include "insert.h"

namespace odoo_bus {

// Inserts the rows and announces their channels at commit. The function's name is for error messages.
void send_notifications(FunctionCallInfo fcinfo, const char* function,
                        std::span<const Notification> notifications, int64* ids);

} // namespace odoo_bus
