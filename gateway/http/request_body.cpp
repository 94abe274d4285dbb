// The body of a request, and the origins that may read its answer.
#include "http/request_body.h"

#include <algorithm>

#include "http/http_connection.h"

namespace odoo_bus {

std::optional<Response> read_body(HttpConnection& connection, size_t max_bytes) {
    const RequestHead& head = connection.head();
    if (connection.has_body())
        return std::nullopt;
    if (head.is_chunked())
        return Response::refusal(411, "The body must have a Content-Length.");
    const uint64_t bytes = head.content_length().value_or(0);
    if (head.method() == "POST" && !head.content_length())
        return Response::refusal(411, "A POST must have a Content-Length.");
    if (bytes > max_bytes)
        return Response::refusal(413, "The body is too large (--max-message-bytes).");
    connection.await_body(bytes);
    return std::nullopt;
}

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
