// A connection of a command to a server, over TCP, a Unix socket or TLS. Its calls block.
//
// libcurl connects and speaks TLS. What goes over the connection is ours: doctor sends handshakes that no
// client would complete, and looks at when a proxy passes on which bytes.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <curl/curl.h>

#include "base/clock.h"
#include "commands/endpoint.h"
#include "http/http_answer.h"

namespace odoo_bus {

// For how long a connection, and a response that should come at once, is waited for.
inline constexpr std::chrono::seconds RESPONSE_TIMEOUT{10};

struct ConnectionSettings {
    bool verifies_certificate = true;
    int interrupt = -1; // a descriptor: as soon as it is readable, no call waits any longer
};

class ServerConnection {
public:
    // Nothing, and why in `problem`.
    static std::unique_ptr<ServerConnection> open(const Endpoint& endpoint, std::string& problem,
                                                  const ConnectionSettings& settings = {});

    bool send(std::string_view bytes);
    enum class Outcome { bytes, end, silence, interrupted };
    // Appends to `to` what is received before `deadline`.
    Outcome receive(std::string& to, Monotonic deadline);

private:
    explicit ServerConnection(int interrupt);
    CURLcode connect(const Endpoint& endpoint, bool verifies_certificate);

    std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> curl_;
    curl_socket_t socket_ = CURL_SOCKET_BAD;
    const int interrupt_;
    std::string buffer_;
};

// Sends a whole request and returns the response. Nothing, and why in `problem`.
std::optional<HttpAnswer> exchange(const Endpoint& endpoint, std::string_view request, std::string& problem,
                                   const ConnectionSettings& settings = {});
// A GET of this path; `headers` are lines.
std::optional<HttpAnswer> get(const Endpoint& endpoint, std::string_view path, std::string& problem,
                              std::string_view headers = {}, const ConnectionSettings& settings = {});

} // namespace odoo_bus
