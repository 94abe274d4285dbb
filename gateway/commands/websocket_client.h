// The client's side of a WebSocket (RFC 6455), for tail and doctor. Its calls block.
//
// libwebsockets answers pings by itself and never shows them, and doctor has to see that a proxy lets them
// through; so this is written here, once for both. Of the gateway's own connections to Odoo
// (clients/odoo_websocket.h) it shares the frames; these never block.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "commands/server_connection.h"
#include "protocol/websocket_frame.h"

namespace odoo_bus {

// The request that opens a WebSocket at the endpoint's target. `headers`: further header lines.
std::string handshake_request(const Endpoint& endpoint, std::string_view key, std::string_view headers = {});

class WebSocketClient {
public:
    enum class Kind {
        text,        // a whole message
        ping,        // it is answered already
        other,       // a pong, or a binary message
        close,       // a close frame; the payload is its code and its reason
        end,         // of the connection, without a close frame
        too_large,   // more than 256 MiB
        silence,     // until the deadline
        interrupted, // see ConnectionSettings
    };
    struct Frame {
        Kind kind;
        std::string payload;
    };

    struct Opened {
        std::unique_ptr<WebSocketClient> socket; // null: see `problem`
        std::string problem;
        int status = 0;     // of the HTTP response; 0: there was none
        std::string reason; // why it refuses, if it says so; printable
        std::vector<std::string> set_cookies;
    };
    static Opened open(const Endpoint& endpoint, std::string_view headers = {},
                       const ConnectionSettings& settings = {});

    bool send_text(std::string_view text);
    bool send_ping();
    bool send_close(int code);

    Frame next(Monotonic deadline);

private:
    WebSocketClient(std::unique_ptr<ServerConnection> connection, std::string received)
        : connection_(std::move(connection)), received_(std::move(received)) {}
    bool send(Opcode opcode, std::string_view payload);
    std::optional<Frame> take_frame();

    std::unique_ptr<ServerConnection> connection_;
    std::string received_;
    size_t begin_ = 0; // of what is not taken yet
    FrameReader reader_{1 << 20};
    std::string message_; // the fragments received so far
};

} // namespace odoo_bus
