// Properties of libpq connection strings that the options check.
#pragma once

#include <string>

namespace odoo_bus {

// Empty, or what is wrong with it; repeats nothing of it, since it may contain a password.
std::string connection_string_problem(const std::string& text);

// Whether it contains a password, of the role or of the client's key.
bool holds_password(const std::string& text);

// What it says of this keyword; empty: nothing.
std::string connection_parameter(const std::string& text, const char* keyword);

} // namespace odoo_bus
