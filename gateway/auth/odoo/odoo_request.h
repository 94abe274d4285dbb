// Requests to Odoo: a head with headers of a whitelist only, and a JSON-RPC body.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "http/requester.h"

namespace odoo_bus {

// The identity with which Odoo is asked: the browser's cookies, or the cookie of the gateway's public
// session.
struct Identity {
    // The cookies that are sent.
    std::vector<std::pair<std::string, std::string>> cookies;
    // The channel of the guest, which is added to those that the page names; empty without a guest.
    std::string guest_channel;
    // It has no session: that of the host's public session is added when the request is sent.
    bool is_public = false;

    std::string_view cookie(std::string_view name) const;
    std::string cookie_header() const;
};

// Cookies of a page of another origin do not count. A guest token that would make Odoo fail is dropped.
Identity identify(const Requester& requester);

// "12|aF3..." as Odoo's mail makes it.
bool is_guest_token(std::string_view text);

// A session id, as Odoo generates and accepts them.
bool is_session_id(std::string_view text);

std::string peek_body(const std::vector<std::string>& channels, int64_t last, bool is_first_poll);
std::string presence_body(int64_t inactivity_period, std::string_view im_status_ids_by_model);
std::string empty_call_body(); // of a route without parameters

// The bytes of the request. `cookies`: the Cookie header's value, or empty.
std::string post_request(std::string_view path, const Requester& requester, std::string_view cookies,
                         std::string_view body);
std::string get_request(std::string_view path, const Requester& requester);
// Of a WebSocket to Odoo's own bus server, as the requester asked for one. `key`: the Sec-WebSocket-Key.
std::string websocket_request(const Requester& requester, std::string_view key);

} // namespace odoo_bus
