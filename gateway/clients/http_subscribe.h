// What a request over plain HTTP subscribes to.
#pragma once

#include <string>

#include "http/http_request.h"
#include "protocol/client_event.h"

namespace odoo_bus {

struct HttpSubscribe {
    Subscribe subscribe;
    std::string id = "null"; // of a JSON-RPC request, as JSON
    std::string problem;     // empty, or why the request is refused; holds nothing of what the client sent
};

// GET /bus/events?channels=a,b&channel=c,d&last=10: `channels` is a list, `channel` one name, which may hold
// a comma; both may be repeated. The header Last-Event-ID goes before `last`. POST: the data of a subscribe
// event. A poll and a peek: JSON-RPC, whose params have the same keys.
HttpSubscribe http_subscribe(const HttpRequest& request, const ClientEventLimits& limits);

} // namespace odoo_bus
