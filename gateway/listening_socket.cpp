// A listening socket: TCP or unix.
#include "listening_socket.h"

#include <cerrno>
#include <cstring>
#include <utility>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <spdlog/fmt/fmt.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace odoo_bus {

namespace {

// True when somebody answers at this unix socket, so that it is not a file that a killed gateway left behind.
bool is_alive(const sockaddr_un& address) {
    const int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const bool alive = connect(probe, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    close(probe);
    return alive;
}

} // namespace

ListeningSocket::ListeningSocket(ListeningSocket&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)), where_(std::move(other.where_)) {}

ListeningSocket::~ListeningSocket() {
    if (descriptor_ < 0)
        return;
    close(descriptor_);
    if (where_.is_unix())
        unlink(where_.path.c_str());
}

std::string ListeningSocket::open(const Listener& where, std::string_view option) {
    sockaddr_storage storage = {};
    socklen_t length;
    if (where.is_unix()) {
        auto& address = reinterpret_cast<sockaddr_un&>(storage);
        address.sun_family = AF_UNIX;
        if (where.path.size() >= sizeof address.sun_path)
            return fmt::format("{} {}: the path is longer than {} bytes", option, where.text(),
                               sizeof address.sun_path - 1);
        memcpy(address.sun_path, where.path.c_str(), where.path.size() + 1);
        length = sizeof address;
        struct stat status;
        if (lstat(where.path.c_str(), &status) == 0) {
            if (!S_ISSOCK(status.st_mode) || is_alive(address))
                return fmt::format("{} {}: the path is in use", option, where.text());
            unlink(where.path.c_str());
        }
    } else if (where.is_ipv6()) {
        auto& address = reinterpret_cast<sockaddr_in6&>(storage);
        address.sin6_family = AF_INET6;
        address.sin6_port = htons(where.port);
        inet_pton(AF_INET6, where.address.c_str(), &address.sin6_addr);
        length = sizeof address;
    } else {
        auto& address = reinterpret_cast<sockaddr_in&>(storage);
        address.sin_family = AF_INET;
        address.sin_port = htons(where.port);
        inet_pton(AF_INET, where.address.c_str(), &address.sin_addr);
        length = sizeof address;
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
    where_ = where;
    if (!where.is_unix() && getsockname(descriptor_, reinterpret_cast<sockaddr*>(&storage), &length) == 0)
        where_.port = ntohs(where.is_ipv6() ? reinterpret_cast<sockaddr_in6&>(storage).sin6_port
                                            : reinterpret_cast<sockaddr_in&>(storage).sin_port);
    return {};
}

} // namespace odoo_bus
