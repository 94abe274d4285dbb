// The files that the options name, judged before the gateway runs: --check-config.
#pragma once

#include <string>
#include <vector>

#include "config/options.h"

namespace odoo_bus {

// Empty, or one sentence why the gateway would not start because of one of them.
std::string check_files(const Options& options);

// A sentence for each of them, or part of one, without which the gateway would start all the same.
std::vector<std::string> warn_of_files(const Options& options);

} // namespace odoo_bus
