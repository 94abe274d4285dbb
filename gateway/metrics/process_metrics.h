// What every process tells Prometheus of itself: CPU, memory, descriptors, its start and its build.
#pragma once

namespace odoo_bus {

void update_process_metrics();

} // namespace odoo_bus
