// GET /bus/bus_service.js: the client for pages, which is built into the program.
#pragma once

#include "http/http_response.h"
#include "http/request_head.h"

namespace odoo_bus {

Response bus_service_script(const RequestHead& head);

} // namespace odoo_bus
