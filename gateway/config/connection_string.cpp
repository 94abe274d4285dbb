// Properties of libpq connection strings that the options check.
#include "config/connection_string.h"

#include <memory>
#include <string_view>

#include <libpq-fe.h>

namespace odoo_bus {

namespace {

using Parameters = std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)>;

Parameters parse(const std::string& text) {
    return {PQconninfoParse(text.c_str(), nullptr), &PQconninfoFree};
}

} // namespace

std::string connection_string_problem(const std::string& text) {
    const Parameters parsed = parse(text);
    if (!parsed || text.empty())
        return "the value is not a libpq connection string; write it like dbname=mydb or "
               "postgresql://host/mydb";
    // libpq would take the rest of the password for the host, and name it in its error. A host that begins
    // with an @ is an abstract unix socket.
    const std::string hosts = connection_parameter(text, "host");
    for (size_t at = hosts.find('@'); at != hosts.npos; at = hosts.find('@', at + 1))
        if (at != 0 && hosts[at - 1] != ',')
            return "the host has an @; in the password of a URI write it as %40";
    return {};
}

bool holds_password(const std::string& text) {
    return !connection_parameter(text, "password").empty() ||
           !connection_parameter(text, "sslpassword").empty();
}

std::string connection_parameter(const std::string& text, const char* keyword) {
    const Parameters parsed = parse(text);
    for (const PQconninfoOption* each = parsed.get(); each && each->keyword; ++each)
        if (std::string_view(each->keyword) == keyword && each->val)
            return each->val;
    return {};
}

} // namespace odoo_bus
