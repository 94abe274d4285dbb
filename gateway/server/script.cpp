// The client for pages.
#include "server/script.h"

#include <string_view>

#include <spdlog/fmt/fmt.h>
#include <xxhash.h>

namespace odoo_bus {

// client/bus_service.js; its definition is written by CMakeLists.txt.
extern const unsigned char BUS_SERVICE_JS[];
extern const unsigned long BUS_SERVICE_JS_BYTES;

Response bus_service_script(const RequestHead& head) {
    static const std::string etag =
        fmt::format("\"{:016x}\"", XXH3_64bits(BUS_SERVICE_JS, BUS_SERVICE_JS_BYTES));
    if (head.method() != "GET" && head.method() != "HEAD")
        return Response::refusal(405, "A script is read with GET.").with("Allow", "GET, HEAD");
    Response response;
    // A page and the worker that another page began must agree: the script is asked for anew after ten
    // minutes, which costs an answer without a body. It holds no secret, so that every page may use it.
    response.headers = {{"ETag", etag},
                        {"Cache-Control", "public, max-age=600, stale-while-revalidate=86400"},
                        {"Access-Control-Allow-Origin", "*"},
                        {"X-Content-Type-Options", "nosniff"}};
    const auto known = head.joined("if-none-match");
    if (known == "*" || known.find(etag) != known.npos) {
        response.status = 304;
        return response;
    }
    response.headers.emplace_back("Content-Type", "text/javascript; charset=utf-8");
    response.body.assign(reinterpret_cast<const char*>(BUS_SERVICE_JS), BUS_SERVICE_JS_BYTES);
    return response;
}

} // namespace odoo_bus
