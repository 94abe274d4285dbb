// GET /status at --metrics-listen: a page that shows what /metrics, /ready and /clients.json tell, which is
// built into the program. It holds no data itself.
#pragma once

#include "http/http_response.h"

namespace odoo_bus {

Response status_page();

} // namespace odoo_bus
