// Passes requests on to Odoo that reach the gateway because Odoo's documented proxy configuration sends it
// everything below /websocket.
//
// Each request has a connection of its own and a head that is written anew; an answer is read whole, within
// bounds, before any of it is passed on. Requests wait in a queue in which addresses take turns.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include <uv.h>

#include "auth/odoo/odoo_client.h"
#include "auth/odoo/odoo_queue.h"
#include "http/http_response.h"
#include "http/memory_account.h"
#include "http/request_head.h"
#include "http/requester.h"

namespace odoo_bus {

class OdooProxy {
public:
    OdooProxy(uv_loop_t* loop, OdooUrl url);

    // Whether Odoo is to answer this path.
    static bool takes(std::string_view path);
    // The refusal when the request is not passed on, or nothing.
    std::optional<Response> refuse(const RequestHead& head) const;
    // The request to Odoo. `who`: what is believed of the forwarded headers.
    static std::string request(const RequestHead& head, std::string_view body, const Requester& who);
    // Odoo's answer as it is passed on.
    static Response response(const HttpAnswer& answer);

    struct Passage {
        std::string request;
        std::shared_ptr<MemoryAccount> account; // what it holds is charged to it
        std::function<bool()> is_wanted;        // somebody waits for the response
        std::function<void(Response)> on_response;
    };
    // Calls back once; at once when too many wait.
    void pass_on(Passage passage);
    // Drops requests of accounts that exceed.
    void shed() { queue_.shed(); }
    // About once a second.
    void tick(Monotonic now) { queue_.tick(now); }

private:
    OdooClient client_;
    OdooQueue queue_;
};

} // namespace odoo_bus
