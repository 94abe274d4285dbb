// A client's cookies of one server: what was given at first, and what the server sets since.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/keyed_hash.h"

namespace odoo_bus {

class CookieJar {
public:
    // `header`: "name=value; name=value".
    explicit CookieJar(std::string_view header);

    // Takes a Set-Cookie header; its attributes are not looked at.
    void set(std::string_view set_cookie);

    // As a Cookie header; empty without cookies.
    std::string header() const;

private:
    std::vector<std::pair<std::string, std::string>> cookies_;
    KeyedMap<std::string, size_t> places_; // of each name's first cookie
};

} // namespace odoo_bus
