// Why PostgreSQL cannot be connected to, and what mends that.
#pragma once

#include <string>
#include <string_view>

namespace odoo_bus::doctor {

// `problem`: what libpq says, with SQLSTATEs (PQERRORS_VERBOSE) where a server answered; of several hosts, of
// each. `over_socket`: a Unix socket was tried.
std::string connection_cure(std::string_view problem, bool over_socket);

// What libpq says, in one line, without the places in the server's source.
std::string in_one_line(std::string_view problem);

} // namespace odoo_bus::doctor
