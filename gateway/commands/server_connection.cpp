// A connection of a command to a server.
#include "commands/server_connection.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include <poll.h>
#include <spdlog/fmt/fmt.h>

namespace odoo_bus {

namespace {

constexpr size_t BUFFER_BYTES = 64 << 10;
// The metrics of a gateway with thousands of databases fit.
constexpr HttpAnswer::Bounds BOUNDS{.head_bytes = 32 << 10, .body_bytes = 16 << 20};

bool is_readable(int descriptor) {
    pollfd watched = {.fd = descriptor, .events = POLLIN, .revents = 0};
    return descriptor >= 0 && poll(&watched, 1, 0) > 0;
}

int milliseconds_until(Monotonic deadline) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - MonotonicClock::now());
    return static_cast<int>(std::max<int64_t>(left.count(), 0));
}

int stop_when_interrupted(void* descriptor, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
    return is_readable(*static_cast<const int*>(descriptor)) ? 1 : 0;
}

// One line for people; `text` is what libcurl says, or empty.
std::string problem_of(CURL* curl, CURLcode code, const char* text) {
    long error = 0;
    curl_easy_getinfo(curl, CURLINFO_OS_ERRNO, &error);
    if (code == CURLE_COULDNT_CONNECT && error != 0)
        return strerror(static_cast<int>(error));
    const std::string problem = *text ? text : curl_easy_strerror(code);
    return code == CURLE_PEER_FAILED_VERIFICATION
               ? fmt::format("its certificate is not accepted ({})", problem)
               : problem;
}

} // namespace

ServerConnection::ServerConnection(int interrupt)
    : curl_(curl_easy_init(), curl_easy_cleanup), interrupt_(interrupt), buffer_(BUFFER_BYTES, '\0') {}

CURLcode ServerConnection::connect(const Endpoint& endpoint, bool verifies_certificate) {
    CURL* const curl = curl_.get();
    const std::string url =
        fmt::format("{}://{}:{}", endpoint.tls ? "https" : "http", endpoint.name(), endpoint.port);
    curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
    curl_easy_setopt(curl, CURLOPT_CONNECT_ONLY, 1L);
    curl_easy_setopt(curl, CURLOPT_PROXY, ""); // whatever the environment says
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, static_cast<long>(RESPONSE_TIMEOUT.count()));
    curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, stop_when_interrupted);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, &interrupt_);
    if (!verifies_certificate) {
        curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 0L);
        curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 0L);
    }
    // As OpenSSL's own tools do.
    if (const char* const authorities = std::getenv("SSL_CERT_FILE"))
        curl_easy_setopt(curl, CURLOPT_CAINFO, authorities);
    const bool is_ipv6 = endpoint.address.find(':') != endpoint.address.npos;
    const std::string to =
        fmt::format("::{}{}{}:{}", is_ipv6 ? "[" : "", endpoint.address, is_ipv6 ? "]" : "", endpoint.port);
    const std::unique_ptr<curl_slist, decltype(&curl_slist_free_all)> connect_to(
        curl_slist_append(nullptr, to.c_str()), curl_slist_free_all);
    if (endpoint.path.empty())
        curl_easy_setopt(curl, CURLOPT_CONNECT_TO, connect_to.get());
    else
        curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, endpoint.path.c_str());
    const CURLcode code = curl_easy_perform(curl);
    curl_easy_setopt(curl, CURLOPT_CONNECT_TO, nullptr);
    return code;
}

std::unique_ptr<ServerConnection> ServerConnection::open(const Endpoint& endpoint, std::string& problem,
                                                         const ConnectionSettings& settings) {
    static const CURLcode initialized = curl_global_init(CURL_GLOBAL_DEFAULT);
    std::unique_ptr<ServerConnection> connection(new ServerConnection(settings.interrupt));
    CURL* const curl = connection->curl_.get();
    if (initialized != CURLE_OK || !curl) {
        problem = "libcurl cannot be initialized";
        return nullptr;
    }
    char text[CURL_ERROR_SIZE] = "";
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, text);
    const CURLcode code = connection->connect(endpoint, settings.verifies_certificate);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, nullptr);
    if (code != CURLE_OK) {
        problem = problem_of(curl, code, text);
        return nullptr;
    }
    curl_easy_getinfo(curl, CURLINFO_ACTIVESOCKET, &connection->socket_);
    return connection;
}

bool ServerConnection::send(std::string_view bytes) {
    const Monotonic deadline = MonotonicClock::now() + RESPONSE_TIMEOUT;
    while (!bytes.empty()) {
        size_t sent = 0;
        const CURLcode code = curl_easy_send(curl_.get(), bytes.data(), bytes.size(), &sent);
        pollfd watched = {.fd = socket_, .events = POLLOUT, .revents = 0};
        if (code == CURLE_AGAIN && poll(&watched, 1, milliseconds_until(deadline)) == 0)
            return false;
        if (code != CURLE_OK && code != CURLE_AGAIN)
            return false;
        bytes.remove_prefix(sent);
    }
    return true;
}

ServerConnection::Outcome ServerConnection::receive(std::string& to, Monotonic deadline) {
    for (;;) {
        if (is_readable(interrupt_))
            return Outcome::interrupted;
        size_t length = 0;
        const CURLcode code = curl_easy_recv(curl_.get(), buffer_.data(), buffer_.size(), &length);
        if (code == CURLE_OK && length > 0) {
            to.append(buffer_, 0, length);
            return Outcome::bytes;
        }
        if (code != CURLE_AGAIN)
            return Outcome::end;
        pollfd watched[] = {{.fd = socket_, .events = POLLIN, .revents = 0},
                            {.fd = interrupt_, .events = POLLIN, .revents = 0}};
        if (poll(watched, std::size(watched), milliseconds_until(deadline)) == 0)
            return Outcome::silence;
    }
}

std::optional<HttpAnswer> exchange(const Endpoint& endpoint, std::string_view request, std::string& problem,
                                   const ConnectionSettings& settings) {
    const auto connection = ServerConnection::open(endpoint, problem, settings);
    if (!connection)
        return std::nullopt;
    HttpAnswer answer(BOUNDS);
    connection->send(request); // a response may come though not all was taken
    const Monotonic deadline = MonotonicClock::now() + RESPONSE_TIMEOUT;
    while (answer.state() == HttpAnswer::State::need_more) {
        std::string bytes;
        switch (connection->receive(bytes, deadline)) {
        case ServerConnection::Outcome::bytes:
            answer.feed(bytes);
            break;
        case ServerConnection::Outcome::end:
            answer.end();
            break;
        default:
            problem = fmt::format("no response within {} s", RESPONSE_TIMEOUT.count());
            return std::nullopt;
        }
    }
    if (answer.state() == HttpAnswer::State::complete)
        return answer;
    problem = answer.problem();
    return std::nullopt;
}

std::optional<HttpAnswer> get(const Endpoint& endpoint, std::string_view path, std::string& problem,
                              std::string_view headers, const ConnectionSettings& settings) {
    return exchange(endpoint,
                    fmt::format("GET {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{}\r\n", path,
                                endpoint.host, headers),
                    problem, settings);
}

} // namespace odoo_bus
