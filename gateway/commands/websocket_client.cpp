// The client's side of a WebSocket.
#include "commands/websocket_client.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <random>

#include <openssl/evp.h>
#include <openssl/sha.h>
#include <spdlog/fmt/fmt.h>

#include "base/log.h"
#include "http/request_head.h"

namespace odoo_bus {

namespace {

constexpr size_t MAX_HEAD = 64 << 10;
constexpr uint64_t MAX_MESSAGE = 256 << 20;
constexpr std::string_view ACCEPT_SUFFIX = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

enum Opcode { CONTINUATION = 0, TEXT = 1, CLOSE = 8, PING = 9, PONG = 10 };
constexpr int FINAL = 0x80;  // in the first byte of a frame
constexpr int MASKED = 0x80; // in the second

std::string random_bytes(size_t count) {
    static std::random_device random;
    std::string bytes;
    while (bytes.size() < count)
        bytes += static_cast<char>(random());
    return bytes;
}

std::string base64(std::string_view bytes) {
    std::string text((bytes.size() + 2) / 3 * 4 + 1, '\0');
    const int length =
        EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                        reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(bytes.size()));
    text.resize(static_cast<size_t>(length));
    return text;
}

std::string accept_of(std::string_view key) {
    const std::string text = std::string(key).append(ACCEPT_SUFFIX);
    std::array<unsigned char, SHA_DIGEST_LENGTH> digest;
    SHA1(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data());
    return base64({reinterpret_cast<const char*>(digest.data()), digest.size()});
}

// The values of a header; `head` ends with "\r\n".
std::vector<std::string> values_of(std::string_view head, std::string_view name) {
    std::vector<std::string> values;
    for (size_t end; (end = head.find("\r\n")) != head.npos; head.remove_prefix(end + 2)) {
        const std::string_view line = head.substr(0, end);
        const size_t colon = line.find(':');
        if (colon == line.npos || !equal_ignoring_case(line.substr(0, colon), name))
            continue;
        const size_t begin = line.find_first_not_of(" \t", colon + 1);
        if (begin != line.npos)
            values.emplace_back(line.substr(begin, line.find_last_not_of(" \t") + 1 - begin));
    }
    return values;
}

// 0 when the head does not begin with a status line.
int status_of(std::string_view head) {
    int status = 0;
    if (head.starts_with("HTTP/1.1 ") && head.size() > 12)
        std::from_chars(head.data() + 9, head.data() + 12, status);
    return status;
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
    const std::string key = base64(random_bytes(16));
    connection->send(handshake_request(endpoint, key, headers));
    const Monotonic deadline = MonotonicClock::now() + RESPONSE_TIMEOUT;
    std::string received;
    size_t end;
    while ((end = received.find("\r\n\r\n")) == received.npos && received.size() < MAX_HEAD)
        if (connection->receive(received, deadline) != ServerConnection::Outcome::bytes)
            break;
    if (end == received.npos) {
        opened.problem = "the handshake was not answered";
        return opened;
    }
    const std::string_view head = std::string_view(received).substr(0, end + 2);
    opened.status = status_of(head);
    opened.set_cookies = values_of(head, "set-cookie");
    if (opened.status != 101)
        opened.problem = fmt::format("the handshake was answered with {}",
                                     log::printable(head.substr(0, head.find("\r\n"))));
    else if (values_of(head, "sec-websocket-accept") != std::vector{accept_of(key)})
        opened.problem = "the handshake was answered with the Sec-WebSocket-Accept of another one";
    else
        opened.socket.reset(new WebSocketClient(std::move(connection), received.substr(end + 4)));
    return opened;
}

bool WebSocketClient::send(int opcode, std::string_view payload) {
    std::string frame(1, static_cast<char>(FINAL | opcode));
    const bool is_short = payload.size() < 126;
    const size_t digits = is_short ? 0 : payload.size() < 65536 ? 2 : 8;
    frame += static_cast<char>(MASKED | (is_short ? payload.size() : digits == 2 ? 126u : 127u));
    for (size_t i = digits; i-- > 0;)
        frame += static_cast<char>(payload.size() >> 8 * i);
    const std::string mask = random_bytes(4);
    frame += mask;
    for (size_t i = 0; i < payload.size(); ++i)
        frame += static_cast<char>(payload[i] ^ mask[i % 4]);
    return connection_->send(frame);
}

bool WebSocketClient::send_text(std::string_view text) {
    return send(TEXT, text);
}

bool WebSocketClient::send_ping() {
    return send(PING, {});
}

bool WebSocketClient::send_close(int code) {
    return send(CLOSE, std::string{static_cast<char>(code >> 8), static_cast<char>(code)});
}

// A frame that ends a message or stands alone; nothing while more bytes are needed.
std::optional<WebSocketClient::Frame> WebSocketClient::take_frame() {
    for (;;) {
        const std::string_view bytes = std::string_view(received_).substr(begin_);
        const auto byte = [bytes](size_t i) { return static_cast<uint8_t>(bytes[i]); };
        if (bytes.size() < 2)
            return std::nullopt;
        uint64_t length = byte(1) & 0x7f;
        const size_t digits = length < 126 ? 0 : length == 126 ? 2 : 8;
        const size_t head = 2 + digits;
        if (bytes.size() < head)
            return std::nullopt;
        if (digits != 0)
            length = 0;
        for (size_t i = 0; i < digits; ++i)
            length = length << 8 | byte(2 + i);
        if (byte(1) & MASKED)
            return Frame{Kind::end, {}}; // no server masks
        if (length > MAX_MESSAGE - message_.size())
            return Frame{Kind::too_large, {}};
        if (bytes.size() < head + length)
            return std::nullopt;
        begin_ += head + length;
        const std::string_view payload = bytes.substr(head, length);
        const int opcode = byte(0) & 0x0f;
        if (opcode == CLOSE) {
            send(CLOSE, payload.substr(0, 2));
            return Frame{Kind::close, std::string(payload)};
        }
        if (opcode > CLOSE) {
            if (opcode == PING)
                send(PONG, payload);
            return Frame{opcode == PING ? Kind::ping : Kind::other, std::string(payload)};
        }
        if (opcode != CONTINUATION)
            opcode_ = opcode;
        message_ += payload;
        if (byte(0) & FINAL)
            return Frame{opcode_ == TEXT ? Kind::text : Kind::other, std::exchange(message_, {})};
    }
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
