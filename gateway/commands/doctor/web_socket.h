// A WebSocket that doctor opens, waiting: enough of RFC 6455 to subscribe and to see what comes.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "commands/doctor/peer.h"

namespace odoo_bus::doctor {

// The head of a handshake, with further header lines.
std::string handshake_request(const Place& place, std::string_view more = {});

class WebSocket {
public:
    // Nothing, and why in `problem`. `more`: further header lines.
    static std::unique_ptr<WebSocket> open(const Place& place, std::string& problem,
                                           std::string_view more = {});

    bool send_text(std::string_view text);

    enum class Kind { text, ping, other, end, silence };
    struct Frame {
        Kind kind;
        std::string payload;
    };
    Frame next(std::chrono::steady_clock::time_point deadline);

private:
    WebSocket(std::unique_ptr<Peer> peer, std::string rest)
        : peer_(std::move(peer)), received_(std::move(rest)) {}
    std::optional<Frame> take_frame();

    std::unique_ptr<Peer> peer_;
    std::string received_;
};

} // namespace odoo_bus::doctor
