// A server that doctor talks to, waiting.
#include "commands/doctor/peer.h"

#include <cerrno>
#include <charconv>
#include <cstring>

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <spdlog/fmt/fmt.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

namespace odoo_bus::doctor {

namespace {

using Clock = std::chrono::steady_clock;

constexpr timeval STEP = {.tv_sec = 10, .tv_usec = 0};

int left(Clock::time_point deadline) {
    const auto time = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
    return static_cast<int>(std::max<int64_t>(time.count(), 0));
}

int connect_to(int family, const sockaddr* address, socklen_t length) {
    const int socket = ::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (socket < 0)
        return -1;
    setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &STEP, sizeof STEP); // of connect(), too
    setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &STEP, sizeof STEP);
    if (connect(socket, address, length) == 0)
        return socket;
    const int problem = errno == EINPROGRESS ? ETIMEDOUT : errno;
    close(socket);
    errno = problem;
    return -1;
}

int open_socket(const Place& place, std::string& problem) {
    if (!place.path.empty()) {
        sockaddr_un address = {};
        address.sun_family = AF_UNIX;
        strncpy(address.sun_path, place.path.c_str(), sizeof address.sun_path - 1);
        const int socket = connect_to(AF_UNIX, reinterpret_cast<const sockaddr*>(&address), sizeof address);
        if (socket < 0)
            problem = strerror(errno);
        return socket;
    }
    addrinfo hints = {}, *found = nullptr;
    hints.ai_socktype = SOCK_STREAM;
    if (const int wrong =
            getaddrinfo(place.address.c_str(), std::to_string(place.port).c_str(), &hints, &found)) {
        problem = fmt::format("{} has no address ({})", place.address, gai_strerror(wrong));
        return -1;
    }
    const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> release(found, freeaddrinfo);
    for (const addrinfo* each = found; each; each = each->ai_next)
        if (const int socket = connect_to(each->ai_family, each->ai_addr, each->ai_addrlen); socket >= 0) {
            const int on = 1;
            setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
            return socket;
        }
    problem = strerror(errno);
    return -1;
}

} // namespace

Place Place::of(const Listener& listener) {
    Place place;
    place.path = listener.path;
    // What listens everywhere is reached at the loopback.
    place.address = listener.address == "0.0.0.0" ? "127.0.0.1"
                    : listener.address == "::"    ? "::1"
                                                  : listener.address;
    place.port = listener.port;
    place.host = listener.is_unix() ? "localhost" : listener.text();
    return place;
}

std::optional<Place> Place::of_url(std::string_view url, std::string& problem) {
    problem = "is not a URL like https://odoo.example.com";
    Place place;
    const size_t scheme = url.find("://");
    if (scheme == url.npos)
        return std::nullopt;
    const std::string_view name = url.substr(0, scheme);
    place.tls = name == "https" || name == "wss";
    if (!place.tls && name != "http" && name != "ws")
        return std::nullopt;
    url.remove_prefix(scheme + 3);
    url = url.substr(0, url.find_first_of("/?#"));
    place.host = url;
    place.port = place.tls ? 443 : 80;
    const size_t bracket = url.starts_with('[') ? url.find(']') : 0;
    if (bracket == url.npos || url.find_first_of(" \r\n\t@") != url.npos)
        return std::nullopt;
    const size_t colon = url.find(':', bracket);
    place.address = bracket ? url.substr(1, bracket - 1) : url.substr(0, colon);
    if (colon != url.npos) {
        const std::string_view port = url.substr(colon + 1);
        const auto [end, wrong] = std::from_chars(port.data(), port.data() + port.size(), place.port);
        if (wrong != std::errc() || end != port.data() + port.size() || place.port == 0)
            return std::nullopt;
    }
    if (place.address.empty())
        return std::nullopt;
    problem.clear();
    return place;
}

std::string Place::origin() const {
    return (tls ? "https://" : "http://") + host;
}

std::unique_ptr<Peer> Peer::connect(const Place& place, std::string& problem) {
    const int socket = open_socket(place, problem);
    if (socket < 0)
        return nullptr;
    std::unique_ptr<Peer> peer(new Peer(socket));
    if (place.tls && !peer->begin_tls(place, problem))
        return nullptr;
    return peer;
}

Peer::~Peer() {
    tls_.reset();
    close(socket_);
}

bool Peer::begin_tls(const Place& place, std::string& problem) {
    context_.reset(SSL_CTX_new(TLS_client_method()));
    if (context_)
        tls_.reset(SSL_new(context_.get()));
    if (!tls_) {
        problem = "TLS cannot be begun";
        return false;
    }
    SSL_CTX_set_default_verify_paths(context_.get());
    SSL_set_verify(tls_.get(), SSL_VERIFY_PEER, nullptr);
    const std::string name = place.host.starts_with('[') ? place.host.substr(1, place.host.find(']') - 1)
                                                         : place.host.substr(0, place.host.find(':'));
    if (!X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(tls_.get()), name.c_str())) {
        SSL_set_tlsext_host_name(tls_.get(), name.c_str());
        SSL_set1_host(tls_.get(), name.c_str());
    }
    SSL_set_fd(tls_.get(), socket_);
    if (SSL_connect(tls_.get()) == 1)
        return true;
    const long verdict = SSL_get_verify_result(tls_.get());
    const char* const reason = ERR_reason_error_string(ERR_peek_error());
    problem = verdict != X509_V_OK ? fmt::format("its certificate is not accepted ({})",
                                                 X509_verify_cert_error_string(verdict))
                                   : fmt::format("TLS failed ({})", reason ? reason : "the connection ended");
    ERR_clear_error();
    return false;
}

bool Peer::send(std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t length = tls_ ? SSL_write(tls_.get(), bytes.data(), static_cast<int>(bytes.size()))
                                    : ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (length <= 0)
            return false;
        bytes.remove_prefix(static_cast<size_t>(length));
    }
    return true;
}

Peer::Outcome Peer::receive(std::string& to, std::chrono::milliseconds patience) {
    const auto deadline = Clock::now() + patience;
    for (;;) {
        if (!tls_ || SSL_pending(tls_.get()) == 0) {
            pollfd watched = {.fd = socket_, .events = POLLIN, .revents = 0};
            const int ready = poll(&watched, 1, left(deadline));
            if (ready < 0 && errno == EINTR)
                continue;
            if (ready <= 0)
                return Outcome::silence;
        }
        char buffer[16384];
        const ssize_t length =
            tls_ ? SSL_read(tls_.get(), buffer, sizeof buffer) : recv(socket_, buffer, sizeof buffer, 0);
        if (length > 0) {
            to.append(buffer, static_cast<size_t>(length));
            return Outcome::bytes;
        }
        // TLS may have received what is nothing for us.
        if (!tls_ || SSL_get_error(tls_.get(), static_cast<int>(length)) != SSL_ERROR_WANT_READ)
            return Outcome::end;
    }
}

std::optional<HttpAnswer> ask(const Place& place, std::string_view request, std::string& problem) {
    const auto peer = Peer::connect(place, problem);
    if (!peer)
        return std::nullopt;
    HttpAnswer answer(HttpAnswer::Bounds{});
    peer->send(request); // an answer may come though not all was taken
    const auto deadline = Clock::now() + PATIENCE;
    while (answer.state() == HttpAnswer::State::need_more) {
        std::string bytes;
        switch (peer->receive(bytes, std::chrono::milliseconds(left(deadline)))) {
        case Peer::Outcome::bytes:
            answer.feed(bytes);
            break;
        case Peer::Outcome::end:
            answer.end();
            break;
        case Peer::Outcome::silence:
            problem = "there was no answer within 10 s";
            return std::nullopt;
        }
    }
    if (answer.state() == HttpAnswer::State::complete)
        return answer;
    problem = answer.problem();
    return std::nullopt;
}

} // namespace odoo_bus::doctor
