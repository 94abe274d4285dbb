// Sockets and states of the service manager.
#include "server/service_manager.h"

#include <charconv>
#include <cstdlib>
#include <cstring>

#include <spdlog/fmt/fmt.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

namespace odoo_bus {

namespace {

constexpr int FIRST_DESCRIPTOR = 3; // SD_LISTEN_FDS_START
constexpr int MAX_SOCKETS = 256;

std::string take_variable(const char* name) {
    const char* const value = getenv(name);
    std::string text = value ? value : "";
    unsetenv(name);
    return text;
}

std::optional<int64_t> number(std::string_view text) {
    int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size())
        return std::nullopt;
    return value;
}

} // namespace

ServiceManager ServiceManager::from_environment(bool is_successor) {
    ServiceManager manager;
    const auto is_mine = [](const std::string& pid) { return number(pid) == getpid(); };

    const bool listens = is_mine(take_variable("LISTEN_PID"));
    const std::string descriptors = take_variable("LISTEN_FDS");
    std::string names = take_variable("LISTEN_FDNAMES");
    if (listens) {
        const int64_t count = number(descriptors).value_or(-1);
        if (count < 0 || count > MAX_SOCKETS)
            manager.problem_ =
                fmt::format("LISTEN_FDS: it is no number from 0 to {}; systemd sets it", MAX_SOCKETS);
        for (int i = 0; i < count && i < MAX_SOCKETS; ++i) {
            const size_t end = names.find(':');
            manager.sockets_.push_back({FIRST_DESCRIPTOR + i, names.substr(0, end)});
            names.erase(0, end == std::string::npos ? end : end + 1);
        }
    }

    // The former process sends MAINPID before this one sends anything.
    const std::string watched = take_variable("WATCHDOG_PID");
    if (const char* const every = getenv("WATCHDOG_USEC");
        every && (is_successor || watched.empty() || is_mine(watched)))
        if (const auto us = number(every); us && *us > 0)
            manager.watchdog_ = std::chrono::milliseconds(std::max<int64_t>(1, *us / 2000)); // in time twice

    // It stays there for a successor.
    const char* const address = getenv("NOTIFY_SOCKET");
    if (address && (*address == '/' || *address == '@') && strlen(address) < sizeof(sockaddr_un::sun_path))
        manager.address_ = address;
    return manager;
}

void ServiceManager::tell(std::string_view state) const {
    if (address_.empty())
        return;
    sockaddr_un to = {};
    to.sun_family = AF_UNIX;
    memcpy(to.sun_path, address_.data(), address_.size());
    if (address_[0] == '@')
        to.sun_path[0] = '\0'; // in the abstract name space
    const int descriptor = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0)
        return;
    const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address_.size());
    sendto(descriptor, state.data(), state.size(), MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&to),
           length);
    close(descriptor);
}

void ServiceManager::tell_reloading() const {
    timespec now = {};
    clock_gettime(CLOCK_MONOTONIC, &now);
    tell(fmt::format("RELOADING=1\nMONOTONIC_USEC={}", now.tv_sec * 1'000'000 + now.tv_nsec / 1000));
}

} // namespace odoo_bus
