// The process metrics that Prometheus expects: CPU, memory, descriptors, start and build.
#pragma once

namespace odoo_bus {

void update_process_metrics();

} // namespace odoo_bus
