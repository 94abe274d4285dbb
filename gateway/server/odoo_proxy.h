// Passes requests on to Odoo that reach the gateway because Odoo's documented proxy configuration sends it
// everything below /websocket.
//
// Each request has a connection of its own and a head that is written anew; an answer is read whole, within
// bounds, before any of it is passed on.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include <uv.h>

#include "auth/odoo/odoo_client.h"
#include "http/http_response.h"
#include "http/request_head.h"
#include "http/requester.h"

namespace odoo_bus {

class OdooProxy {
public:
    OdooProxy(uv_loop_t* loop, OdooUrl url) : client_(loop, std::move(url)) {}

    // Whether Odoo is to answer this path.
    static bool takes(std::string_view path);
    // The refusal when the request is not passed on, or nothing.
    std::optional<Response> refuse(const RequestHead& head) const;
    // The request to Odoo. `who`: what the forwarded headers of a trusted proxy say.
    static std::string request(const RequestHead& head, std::string_view body, const Requester& who);
    // Odoo's answer as it is passed on.
    static Response response(const HttpAnswer& answer);

    // Calls back once, later.
    void pass_on(std::string request, std::function<void(Response)> on_response);

private:
    OdooClient client_;
    size_t running_ = 0;
};

} // namespace odoo_bus
