// The WebSocket handshake, judged by us and written anew for libwebsockets.
#include "http/handshake.h"

#include <algorithm>
#include <array>

#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <spdlog/fmt/fmt.h>

#include "http/bearer_token.h"

namespace odoo_bus {

namespace {

// Base64 of 16 bytes: 22 characters and two of padding.
bool is_key(std::string_view text) {
    return text.size() == 24 && text.ends_with("==") && std::all_of(text.begin(), text.end() - 2, [](char c) {
               return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                      c == '+' || c == '/';
           });
}

bool has_origin(const RequestHead& head) {
    return head.count("origin") == 1 && !head.first("origin")->empty();
}

// The origin tells whose page uses the cookies of the browser. What carries its token by itself has no page.
bool is_of_a_program(const RequestHead& head) {
    return head.count("cookie") == 0 &&
           !carried_token(head.first("authorization").value_or(""), head.joined("sec-websocket-protocol"))
                .empty();
}

template <size_t N>
std::string base64(const std::array<unsigned char, N>& bytes) {
    std::string text((N + 2) / 3 * 4 + 1, '\0');
    const int length = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()), bytes.data(), N);
    text.resize(static_cast<size_t>(length));
    return text;
}

} // namespace

std::optional<Response> judge_handshake(const RequestHead& head) {
    if (head.method() != "GET")
        return Response::refusal(405, "A WebSocket is opened with GET.").with("Allow", "GET");
    if (!head.has_token("upgrade", "websocket") || !head.has_token("connection", "upgrade"))
        return Response::refusal(426, "This address serves WebSockets; behind a proxy, pass on the "
                                      "headers Upgrade and Connection.")
            .with("Upgrade", "websocket")
            .with("Connection", "close, Upgrade");
    if (head.count("sec-websocket-version") != 1 || *head.first("sec-websocket-version") != "13")
        return Response::refusal(426, "Only version 13 of the WebSocket protocol is served.")
            .with("Sec-WebSocket-Version", "13");
    if (head.count("sec-websocket-key") != 1 || !is_key(*head.first("sec-websocket-key")))
        return Response::refusal(400, "The Sec-WebSocket-Key is not one base64 text of 16 bytes.");
    if (!has_origin(head) && !(head.count("origin") == 0 && is_of_a_program(head)))
        return Response::refusal(
            400, "A WebSocket needs exactly one Origin header, which browsers send; a program "
                 "may leave it out when it sends a token and no cookie.");
    if (head.content_length().value_or(0) != 0 || head.is_chunked())
        return Response::refusal(400, "A WebSocket is opened without a request body.");
    return std::nullopt;
}

std::string canonical_head(const RequestHead& head, std::string_view path, std::string_view protocol) {
    return fmt::format("GET {} HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                       "Sec-WebSocket-Key: {}\r\nSec-WebSocket-Version: 13\r\n{}{}{}\r\n",
                       path, *head.first("host"), *head.first("sec-websocket-key"),
                       protocol.empty() ? "" : "Sec-WebSocket-Protocol: ", protocol,
                       protocol.empty() ? "" : "\r\n");
}

std::string make_websocket_key() {
    std::array<unsigned char, 16> bytes{};
    RAND_bytes(bytes.data(), bytes.size());
    return base64(bytes);
}

std::string websocket_accept(std::string_view key) {
    const std::string text = std::string(key).append("258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    std::array<unsigned char, SHA_DIGEST_LENGTH> digest;
    SHA1(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data());
    return base64(digest);
}

} // namespace odoo_bus
