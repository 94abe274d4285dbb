// A listening socket: TCP or unix.
#include "http/listening_socket.h"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <utility>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <spdlog/fmt/fmt.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/trusted_file.h"

namespace odoo_bus {

namespace {

// Where a socket listens; an unnamed or abstract one is a unix socket "(unnamed)", whose path is not removed.
Listener listener_of(const sockaddr_storage& storage, socklen_t length) {
    Listener where;
    char text[INET6_ADDRSTRLEN] = {};
    if (storage.ss_family == AF_INET) {
        const auto& address = reinterpret_cast<const sockaddr_in&>(storage);
        where.address = inet_ntop(AF_INET, &address.sin_addr, text, sizeof text);
        where.port = ntohs(address.sin_port);
    } else if (storage.ss_family == AF_INET6) {
        const auto& address = reinterpret_cast<const sockaddr_in6&>(storage);
        where.address = inet_ntop(AF_INET6, &address.sin6_addr, text, sizeof text);
        where.port = ntohs(address.sin6_port);
    } else {
        const auto& address = reinterpret_cast<const sockaddr_un&>(storage);
        const size_t begin = offsetof(sockaddr_un, sun_path);
        where.path = length > begin && address.sun_path[0]
                         ? std::string(address.sun_path, strnlen(address.sun_path, length - begin))
                         : "(unnamed)";
    }
    return where;
}

// True when a process listens at this unix socket, so that the file was not left behind by a killed gateway.
bool is_alive(const sockaddr_un& address) {
    const int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const bool alive = connect(probe, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    close(probe);
    return alive;
}

} // namespace

socklen_t to_socket_address(const Listener& where, sockaddr_storage& storage) {
    storage = {};
    if (where.is_unix()) {
        auto& address = reinterpret_cast<sockaddr_un&>(storage);
        address.sun_family = AF_UNIX;
        strncpy(address.sun_path, where.path.c_str(), sizeof address.sun_path - 1);
        return sizeof address;
    }
    if (where.is_ipv6()) {
        auto& address = reinterpret_cast<sockaddr_in6&>(storage);
        address.sin6_family = AF_INET6;
        address.sin6_port = htons(where.port);
        inet_pton(AF_INET6, where.address.c_str(), &address.sin6_addr);
        return sizeof address;
    }
    auto& address = reinterpret_cast<sockaddr_in&>(storage);
    address.sin_family = AF_INET;
    address.sin_port = htons(where.port);
    inet_pton(AF_INET, where.address.c_str(), &address.sin_addr);
    return sizeof address;
}

ListeningSocket::ListeningSocket(ListeningSocket&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)), is_given_(other.is_given_),
      owns_path_(other.owns_path_), where_(std::move(other.where_)), asked_(std::move(other.asked_)) {}

ListeningSocket::~ListeningSocket() {
    if (descriptor_ < 0)
        return;
    close(descriptor_);
    if (owns_path_)
        unlink(where_.path.c_str());
}

std::string ListeningSocket::open(const Listener& where, std::string_view option) {
    sockaddr_storage storage;
    socklen_t length = to_socket_address(where, storage);
    if (where.is_unix()) {
        const auto& address = reinterpret_cast<const sockaddr_un&>(storage);
        if (where.path != address.sun_path)
            return fmt::format("{} {}: the path is longer than {} bytes", option, where.text(),
                               sizeof address.sun_path - 1);
        if (const std::string problem = judge_directory_of(where.path); !problem.empty())
            return fmt::format("{} {}: {}", option, where.text(), problem);
        struct stat status;
        if (lstat(where.path.c_str(), &status) == 0) {
            if (!S_ISSOCK(status.st_mode) || is_alive(address))
                return fmt::format("{} {}: the path is in use", option, where.text());
            unlink(where.path.c_str());
        }
    }

    const int on = 1;
    descriptor_ = socket(storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor_ < 0 ||
        (!where.is_unix() && setsockopt(descriptor_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on)) ||
        (where.is_ipv6() && setsockopt(descriptor_, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on)) ||
        bind(descriptor_, reinterpret_cast<sockaddr*>(&storage), length) ||
        ::listen(descriptor_, SOMAXCONN)) {
        const std::string reason = strerror(errno);
        if (descriptor_ >= 0)
            close(std::exchange(descriptor_, -1));
        return fmt::format("{} {}: {}", option, where.text(), reason);
    }
    where_ = asked_ = where;
    owns_path_ = where.is_unix();
    if (!where.is_unix() && getsockname(descriptor_, reinterpret_cast<sockaddr*>(&storage), &length) == 0)
        where_.port = ntohs(where.is_ipv6() ? reinterpret_cast<sockaddr_in6&>(storage).sin6_port
                                            : reinterpret_cast<sockaddr_in&>(storage).sin_port);
    return {};
}

std::string ListeningSocket::adopt(int descriptor, std::string_view giver) {
    const auto refuse = [&](std::string_view why) {
        close(descriptor);
        return fmt::format("{}: {}", giver, why);
    };
    sockaddr_storage storage = {};
    socklen_t length = sizeof storage, size = sizeof(int);
    int type = 0, listens = 0;
    if (getsockopt(descriptor, SOL_SOCKET, SO_TYPE, &type, &size) != 0)
        return fmt::format("{}: it is no socket", giver);
    if (type != SOCK_STREAM || getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) != 0 ||
        !listens)
        return refuse("it is no listening stream socket; in a systemd socket unit that is ListenStream= with "
                      "Accept=no");
    if (getsockname(descriptor, reinterpret_cast<sockaddr*>(&storage), &length) != 0 ||
        (storage.ss_family != AF_INET && storage.ss_family != AF_INET6 && storage.ss_family != AF_UNIX))
        return refuse("it is neither an IP socket nor a unix socket");
    fcntl(descriptor, F_SETFD, FD_CLOEXEC);
    fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK);
    descriptor_ = descriptor;
    is_given_ = true;
    where_ = asked_ = listener_of(storage, length);
    return {};
}

std::string ListeningSocket::succeed(int descriptor, const Listener& asked, bool is_given,
                                     std::string_view giver) {
    std::string problem = adopt(descriptor, giver);
    is_given_ = is_given;
    asked_ = asked;
    return problem;
}

// --- sockets that listen already ---

void GivenSockets::add(ListeningSocket socket, bool for_metrics) {
    waiting_.push_back({std::move(socket), for_metrics});
}

std::vector<Listener> GivenSockets::given() const {
    std::vector<Listener> given;
    for (const auto& [socket, for_metrics, used] : waiting_)
        if (socket.is_given() && !for_metrics)
            given.push_back(socket.where());
    return given;
}

std::string GivenSockets::open(const std::vector<Listener>& listeners, std::string_view option,
                               bool for_metrics, std::vector<ListeningSocket>& sockets) {
    for (Waiting& each : waiting_) {
        if (each.for_metrics != for_metrics || !each.socket.is_given() || each.used)
            continue;
        each.used = true;
        sockets.push_back(std::move(each.socket));
    }
    if (!sockets.empty())
        return {};
    for (const Listener& where : listeners) {
        const auto had = std::ranges::find_if(waiting_, [&](const Waiting& each) {
            return each.for_metrics == for_metrics && !each.used && each.socket.asked() == where;
        });
        if (had != waiting_.end()) {
            had->used = true;
            sockets.push_back(std::move(had->socket));
            continue;
        }
        ListeningSocket socket;
        if (std::string problem = socket.open(where, option); !problem.empty())
            return problem;
        sockets.push_back(std::move(socket));
    }
    return {};
}

} // namespace odoo_bus
