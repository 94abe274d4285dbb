// A server that doctor talks to, waiting: over TCP, a unix socket, or TLS.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <openssl/ssl.h>

#include "config/options.h"
#include "http/http_answer.h"

namespace odoo_bus::doctor {

// A place, and how it is called there.
struct Place {
    std::string address; // a name or a numeric address to connect to
    uint16_t port = 80;
    std::string path; // of a unix socket, in place of both
    bool tls = false;
    std::string host; // for the header Host, and for the certificate

    static Place of(const Listener& listener);
    // http(s):// or ws(s)://, whatever path it has. Nothing, and why in `problem`.
    static std::optional<Place> of_url(std::string_view url, std::string& problem);
    std::string origin() const; // "https://odoo.example.com"
};

class Peer {
public:
    // Nothing, and why in `problem`.
    static std::unique_ptr<Peer> connect(const Place& place, std::string& problem);
    ~Peer();
    Peer(const Peer&) = delete;
    Peer& operator=(const Peer&) = delete;

    bool send(std::string_view bytes);
    enum class Outcome { bytes, end, silence };
    // Appends what comes to `to`, within `patience` at the longest.
    Outcome receive(std::string& to, std::chrono::milliseconds patience);

private:
    explicit Peer(int socket) : socket_(socket) {}
    bool begin_tls(const Place& place, std::string& problem);

    const int socket_;
    std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context_{nullptr, SSL_CTX_free};
    std::unique_ptr<SSL, decltype(&SSL_free)> tls_{nullptr, SSL_free};
};

// How long doctor waits for an answer that should come at once.
inline constexpr std::chrono::milliseconds PATIENCE{10'000};

// One request, whole as sent, and its answer. Nothing, and why in `problem`.
std::optional<HttpAnswer> ask(const Place& place, std::string_view request, std::string& problem);

} // namespace odoo_bus::doctor
