// A WebSocket that doctor opens.
#include "commands/doctor/web_socket.h"

#include <cstdlib>

#include <spdlog/fmt/fmt.h>

#include "base/log.h"

namespace odoo_bus::doctor {

namespace {

constexpr size_t MAX_HEAD = 64 << 10;
constexpr uint64_t MAX_FRAME = 64 << 20;
constexpr std::string_view KEY = "b2Rvby1idXMtZG9jdG9yIQ==";

} // namespace

std::string handshake_request(const Place& place, std::string_view more) {
    return fmt::format("GET /websocket HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                       "Sec-WebSocket-Key: {}\r\nSec-WebSocket-Version: 13\r\nOrigin: {}\r\n{}\r\n",
                       place.host, KEY, place.origin(), more);
}

std::unique_ptr<WebSocket> WebSocket::open(const Place& place, std::string& problem, std::string_view more) {
    auto peer = Peer::connect(place, problem);
    if (!peer)
        return nullptr;
    peer->send(handshake_request(place, more));
    std::string received;
    size_t end;
    while ((end = received.find("\r\n\r\n")) == received.npos && received.size() < MAX_HEAD)
        if (peer->receive(received, PATIENCE) != Peer::Outcome::bytes)
            break;
    if (end == received.npos) {
        problem = "the handshake was not answered";
        return nullptr;
    }
    if (!received.starts_with("HTTP/1.1 101")) {
        problem = fmt::format("the handshake was answered with {}",
                              log::printable(received.substr(0, received.find("\r\n"))));
        return nullptr;
    }
    return std::unique_ptr<WebSocket>(new WebSocket(std::move(peer), received.substr(end + 4)));
}

bool WebSocket::send_text(std::string_view text) {
    // Masked with zeroes: no cache in between is to be fooled by what doctor sends.
    std::string frame = "\x81";
    if (text.size() < 126) {
        frame += static_cast<char>(0x80 | text.size());
    } else {
        frame += static_cast<char>(0x80 | 126);
        frame += static_cast<char>(text.size() >> 8);
        frame += static_cast<char>(text.size());
    }
    frame.append(4, '\0').append(text);
    return peer_->send(frame);
}

std::optional<WebSocket::Frame> WebSocket::take_frame() {
    const auto byte = [this](size_t i) { return static_cast<uint8_t>(received_[i]); };
    if (received_.size() < 2)
        return std::nullopt;
    uint64_t length = byte(1) & 0x7f;
    size_t head = 2;
    if (length >= 126) {
        const size_t digits = length == 126 ? 2 : 8;
        if (received_.size() < head + digits)
            return std::nullopt;
        length = 0;
        for (size_t i = 0; i < digits; ++i)
            length = length << 8 | byte(head + i);
        head += digits;
    }
    const uint8_t opcode = byte(0) & 0x0f;
    if (length > MAX_FRAME || byte(1) & 0x80)
        return Frame{Kind::end, {}};
    if (received_.size() < head + length)
        return std::nullopt;
    Frame frame{opcode == 8   ? Kind::end
                : opcode == 9 ? Kind::ping
                : opcode == 1 ? Kind::text
                              : Kind::other,
                received_.substr(head, length)};
    received_.erase(0, head + length);
    return frame;
}

WebSocket::Frame WebSocket::next(std::chrono::steady_clock::time_point deadline) {
    for (;;) {
        if (auto frame = take_frame())
            return std::move(*frame);
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
            deadline - std::chrono::steady_clock::now());
        switch (peer_->receive(received_, std::max(left, std::chrono::milliseconds(0)))) {
        case Peer::Outcome::bytes:
            break;
        case Peer::Outcome::end:
            return {Kind::end, {}};
        case Peer::Outcome::silence:
            return {Kind::silence, {}};
        }
    }
}

} // namespace odoo_bus::doctor
