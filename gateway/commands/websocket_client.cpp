// The client's side of a WebSocket.
#include "commands/websocket_client.h"

#include <algorithm>

#include <spdlog/fmt/fmt.h>

#include "base/log.h"
#include "http/handshake.h"

namespace odoo_bus {

namespace {

constexpr HttpAnswer::Bounds ANSWER{.head_bytes = 64 << 10, .body_bytes = 1 << 20, .may_switch = true};
constexpr size_t MAX_MESSAGE = 256 << 20;

// Of a refusal the head tells most: its text is not waited for for long.
constexpr std::chrono::seconds REASON_WITHIN{1};
constexpr size_t MAX_REASON = 200;

// The first line of what a refusal says as plain text, as this gateway's do.
std::string reason_of(const HttpAnswer& answer) {
    const auto type = answer.header("content-type");
    if (!type || !type->starts_with("text/plain"))
        return {};
    const std::string_view text = answer.body();
    return log::printable(text.substr(0, std::min(text.find_first_of("\r\n"), MAX_REASON)));
}

} // namespace

std::string handshake_request(const Endpoint& endpoint, std::string_view key, std::string_view headers) {
    return fmt::format("GET {} HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                       "Sec-WebSocket-Key: {}\r\nSec-WebSocket-Version: 13\r\nOrigin: {}\r\n{}\r\n",
                       endpoint.target, endpoint.host, key, endpoint.origin(), headers);
}

WebSocketClient::Opened WebSocketClient::open(const Endpoint& endpoint, std::string_view headers,
                                              const ConnectionSettings& settings) {
    Opened opened;
    auto connection = ServerConnection::open(endpoint, opened.problem, settings);
    if (!connection)
        return opened;
    const std::string key = make_websocket_key();
    connection->send(handshake_request(endpoint, key, headers));
    Monotonic deadline = MonotonicClock::now() + RESPONSE_TIMEOUT;
    HttpAnswer answer(ANSWER);
    while (answer.state() == HttpAnswer::State::need_more) {
        std::string received;
        if (connection->receive(received, deadline) != ServerConnection::Outcome::bytes)
            break;
        answer.feed(received);
        if (answer.status() != 0)
            deadline = std::min(deadline, MonotonicClock::now() + REASON_WITHIN);
    }
    opened.status = answer.status();
    opened.reason = reason_of(answer);
    for (const std::string_view cookie : answer.all("set-cookie"))
        opened.set_cookies.emplace_back(cookie);
    if (answer.state() == HttpAnswer::State::broken)
        opened.problem = answer.problem();
    else if (opened.status == 0)
        opened.problem = "the handshake was not answered";
    else if (opened.status != 101)
        opened.problem = fmt::format("the handshake was answered with {}{}", opened.status,
                                     opened.reason.empty() ? "" : " (" + opened.reason + ")");
    else if (answer.all("sec-websocket-accept") != std::vector<std::string_view>{websocket_accept(key)})
        opened.problem = "the handshake was answered with the Sec-WebSocket-Accept of another one";
    else
        opened.socket.reset(new WebSocketClient(std::move(connection), answer.body()));
    return opened;
}

bool WebSocketClient::send(Opcode opcode, std::string_view payload) {
    return connection_->send(masked_frame(opcode, payload));
}

bool WebSocketClient::send_text(std::string_view text) {
    return send(Opcode::text, text);
}

bool WebSocketClient::send_ping() {
    return send(Opcode::ping, {});
}

bool WebSocketClient::send_close(int code) {
    return send(Opcode::close, close_payload({code, {}}));
}

// A frame that ends a message or stands alone; nothing while more bytes are needed.
std::optional<WebSocketClient::Frame> WebSocketClient::take_frame() {
    std::string_view bytes = std::string_view(received_).substr(begin_);
    while (auto piece = reader_.next(bytes)) {
        begin_ = received_.size() - bytes.size();
        if (piece->opcode == Opcode::close) {
            send(Opcode::close, std::string_view(piece->payload).substr(0, 2));
            return Frame{Kind::close, std::move(piece->payload)};
        }
        if (piece->is_control()) {
            if (piece->opcode == Opcode::ping)
                send(Opcode::pong, piece->payload);
            return Frame{piece->opcode == Opcode::ping ? Kind::ping : Kind::other, std::move(piece->payload)};
        }
        if (piece->payload.size() > MAX_MESSAGE - message_.size())
            return Frame{Kind::too_large, {}};
        message_ += piece->payload;
        if (piece->is_last)
            return Frame{piece->opcode == Opcode::text ? Kind::text : Kind::other,
                         std::exchange(message_, {})};
    }
    begin_ = received_.size();
    return reader_.is_broken() ? std::optional(Frame{Kind::end, {}}) : std::nullopt;
}

WebSocketClient::Frame WebSocketClient::next(Monotonic deadline) {
    for (;;) {
        if (auto frame = take_frame())
            return std::move(*frame);
        received_.erase(0, std::exchange(begin_, 0));
        switch (connection_->receive(received_, deadline)) {
        case ServerConnection::Outcome::bytes:
            break;
        case ServerConnection::Outcome::end:
            return {Kind::end, {}};
        case ServerConnection::Outcome::silence:
            return {Kind::silence, {}};
        case ServerConnection::Outcome::interrupted:
            return {Kind::interrupted, {}};
        }
    }
}

} // namespace odoo_bus
