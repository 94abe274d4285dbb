// The subcommand `tail`: a subscriber for the command line.
#pragma once

#include <string>
#include <vector>

namespace odoo_bus {

// `arguments`: what follows the word `tail`. Returns the exit code.
int run_tail(const std::vector<std::string>& arguments);

} // namespace odoo_bus
