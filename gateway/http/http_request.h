// What the request for an event stream or a poll has said, on its way to a service thread.
#pragma once

#include <string>

namespace odoo_bus {

struct HttpRequest {
    enum class Kind { events, poll, peek };

    Kind kind = Kind::events;
    bool is_post = false;
    std::string query;         // not decoded
    std::string body;          // of a POST
    std::string last_event_id; // empty when there is none
    std::string reader;        // the foreign origin whose pages may read the answer, or empty
};

} // namespace odoo_bus
