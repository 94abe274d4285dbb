// send.h: what every sending function does once its channels and messages are made.
#pragma once

#include "insert.h"

namespace odoo_bus {

// Writes the rows and has their channels announced at commit. The function's name is for error messages.
void send_notifications(FunctionCallInfo fcinfo, const char* function,
                        std::span<const Notification> notifications, int64* ids);

} // namespace odoo_bus
