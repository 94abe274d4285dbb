// Connections that were ended for the memory that they held, on whichever thread.
#pragma once

#include "metrics/metrics.h"

namespace odoo_bus {

inline const metrics::Counter shed_connections("odoo_bus_shed_connections_total",
                                               "Connections closed because of --max-memory.");

} // namespace odoo_bus
