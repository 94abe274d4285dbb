// message.h: the message as stored, {"type":"...","payload":...}.
#pragma once

#include "json_text.h"

namespace odoo_bus {

extern int max_payload_size; // odoo_bus.max_payload_size, in bytes of the payload as stored

// A null payload is JSON null. The type is in the server's encoding.
text* make_message(std::string_view notification_type, JsonbValue* payload);
text* make_message(std::string_view notification_type, Jsonb* payload);

// The same with a payload that is compact ASCII JSON already.
text* make_message(std::string_view notification_type, std::string_view payload_json);

} // namespace odoo_bus
