// What goes to Odoo: a head of which every header is on a whitelist, and a JSON-RPC body.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "http/requester.h"

namespace odoo_bus {

// As whom Odoo is asked: the browser's own cookies, or those of the gateway's public session.
struct Identity {
    // Of the cookies that are sent. Empty: none.
    std::vector<std::pair<std::string, std::string>> cookies;
    // Names the guest, beside what the page names; empty without one.
    std::string guest_channel;
    // Without a session of its own: the public one of its host is added when the request is sent.
    bool is_public = false;

    std::string_view cookie(std::string_view name) const;
    std::string cookie_header() const;
};

// A page of another origin gets nothing for its cookies. A guest token that Odoo would stumble over is
// dropped.
Identity identify(const Requester& requester);

// "12|aF3..." as Odoo's mail makes it.
bool is_guest_token(std::string_view text);

// A session id, as Odoo makes and takes them.
bool is_session_id(std::string_view text);

std::string peek_body(const std::vector<std::string>& channels, int64_t last, bool is_first_poll);
std::string presence_body(int64_t inactivity_period, std::string_view im_status_ids_by_model);
std::string empty_call_body(); // of a route without parameters

// The bytes of the request. `cookies`: the Cookie header's value, or empty.
std::string post_request(std::string_view path, const Requester& requester, std::string_view cookies,
                         std::string_view body);
std::string get_request(std::string_view path, const Requester& requester);

} // namespace odoo_bus
