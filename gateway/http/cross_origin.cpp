// Pages of other origins that may read what they ask for (CORS).
#include "http/cross_origin.h"

#include <algorithm>

#include "http/request_head.h"

namespace odoo_bus {

std::string foreign_reader(std::string_view origin, const std::vector<std::string>& allowed) {
    const bool is_allowed = std::ranges::any_of(
        allowed, [origin](const std::string& each) { return equal_ignoring_case(each, origin); });
    return is_allowed ? std::string(origin) : std::string();
}

Response preflight(const std::string& reader) {
    if (reader.empty())
        return Response::refusal(403, "pages of this origin are not served (--allowed-origin)");
    Response response;
    response.status = 204;
    response.headers = {{"Access-Control-Allow-Origin", reader},
                        {"Access-Control-Allow-Credentials", "true"},
                        {"Access-Control-Allow-Methods", "GET, POST"},
                        {"Access-Control-Allow-Headers", "Authorization, Content-Type, Last-Event-ID"},
                        {"Access-Control-Max-Age", "600"},
                        {"Vary", "Origin"}};
    return response;
}

} // namespace odoo_bus
