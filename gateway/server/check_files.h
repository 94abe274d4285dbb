// The files that the options name, judged before the gateway runs: --check-config.
#pragma once

#include <string>

#include "config/options.h"

namespace odoo_bus {

// Empty, or one sentence why the gateway would not start because of one of them.
std::string check_files(const Options& options);

} // namespace odoo_bus
