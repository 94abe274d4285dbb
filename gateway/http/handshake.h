// The WebSocket handshake (RFC 6455, section 4.2): judged by us, written anew for libwebsockets.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "http/http_response.h"
#include "http/request_head.h"

namespace odoo_bus {

// Nothing when `head` (complete) asks properly for a WebSocket; else the answer that refuses it: 405 with
// Allow, 426 with Upgrade or Sec-WebSocket-Version, 400 for a bad key, a body, or a missing Origin (unless
// the request carries a token, and no cookie).
std::optional<Response> judge_handshake(const RequestHead& head);

// The head that libwebsockets gets to parse: `path`, and of the client's headers only those that it needs. It
// holds no cookie, so libwebsockets' limits never matter. `protocol`: the subprotocol to agree on, if any.
std::string canonical_head(const RequestHead& head, std::string_view path, std::string_view protocol = {});

// --- as a client ---

// A random Sec-WebSocket-Key, and the Sec-WebSocket-Accept that answers one.
std::string make_websocket_key();
std::string websocket_accept(std::string_view key);

} // namespace odoo_bus
