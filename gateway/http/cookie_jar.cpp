// A client's cookies of one server.
#include "http/cookie_jar.h"

#include "base/text.h"

namespace odoo_bus {

CookieJar::CookieJar(std::string_view header) {
    while (!header.empty()) {
        const size_t end = header.find(';');
        const std::string_view pair = trim(header.substr(0, end));
        header.remove_prefix(end == header.npos ? header.size() : end + 1);
        const size_t equals = pair.find('=');
        if (pair.empty())
            continue;
        const std::string_view name = pair.substr(0, equals);
        places_.try_emplace(std::string(name), cookies_.size());
        cookies_.emplace_back(name, equals == pair.npos ? "" : std::string(pair.substr(equals + 1)));
    }
}

void CookieJar::set(std::string_view set_cookie) {
    const std::string_view pair = trim(set_cookie.substr(0, set_cookie.find(';')));
    const size_t equals = pair.find('=');
    if (equals == pair.npos || equals == 0)
        return;
    const std::string_view name = trim(pair.substr(0, equals));
    const std::string_view value = trim(pair.substr(equals + 1));
    const auto [place, is_new] = places_.try_emplace(std::string(name), cookies_.size());
    if (is_new)
        cookies_.emplace_back(name, value);
    else
        cookies_[place->second].second = value;
}

std::string CookieJar::header() const {
    std::string line;
    for (const auto& [name, value] : cookies_)
        line += (line.empty() ? "" : "; ") + name + "=" + value;
    return line;
}

} // namespace odoo_bus
