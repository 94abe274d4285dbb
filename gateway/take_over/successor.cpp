// SIGUSR2: the new process, and what it is offered.
#include "take_over/successor.h"

#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <tuple>
#include <utility>

#include <fcntl.h>
#include <spawn.h>
#include <spdlog/fmt/fmt.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/bytes.h"

extern char** environ;

namespace odoo_bus {

template <>
inline constexpr auto FIELDS<Listener> = std::tuple(&Listener::address, &Listener::port, &Listener::path);
// Descriptors are passed beside the bytes.
template <>
inline constexpr auto FIELDS<Offer::Socket> = std::tuple(&Offer::Socket::for_metrics,
                                                         &Offer::Socket::is_given, &Offer::Socket::asked);
template <>
inline constexpr auto FIELDS<Offer> = std::tuple(&Offer::process, &Offer::gateway_id, &Offer::positions,
                                                 &Offer::drain_within, &Offer::sockets);

namespace {

constexpr const char* VARIABLE = "ODOO_BUS_TAKES_OVER";
constexpr int DESCRIPTOR = 3; // of the socket, in the new process

// What comes first, so that another version's offer is recognised. Change the number with every message, and
// keep the length.
constexpr std::string_view PROTOCOL = "odoo_bus take-over 2\n";

constexpr size_t MAX_SOCKETS = 250; // the kernel passes 253 at a time
constexpr size_t MAX_OFFER = 1 << 20;
constexpr int OFFER_SECONDS = 10;

std::string encode_offer(const Offer& offer) {
    std::string bytes, whole(PROTOCOL);
    write_bytes(bytes, offer);
    write_bytes(whole, bytes);
    return whole;
}

void send_offer(int socket, const Offer& offer) {
    std::string bytes = encode_offer(offer);
    std::vector<int> descriptors;
    for (const Offer::Socket& each : offer.sockets)
        descriptors.push_back(each.descriptor);
    std::vector<char> control(CMSG_SPACE(sizeof(int) * descriptors.size()));
    iovec part = {bytes.data(), bytes.size()};
    msghdr header = {};
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    if (!descriptors.empty()) {
        header.msg_control = control.data();
        header.msg_controllen = control.size();
        cmsghdr* const rights = CMSG_FIRSTHDR(&header);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(sizeof(int) * descriptors.size());
        memcpy(CMSG_DATA(rights), descriptors.data(), sizeof(int) * descriptors.size());
    }
    // It is far smaller than the socket's buffer.
    sendmsg(socket, &header, MSG_NOSIGNAL);
}

// The protocol's line, and the descriptors, which come with its first byte.
std::string receive_protocol(int socket, std::vector<int>& descriptors) {
    std::string line(PROTOCOL.size(), '\0');
    std::vector<char> control(CMSG_SPACE(sizeof(int) * MAX_SOCKETS));
    iovec part = {line.data(), line.size()};
    msghdr header = {};
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    header.msg_control = control.data();
    header.msg_controllen = control.size();
    const ssize_t length = recvmsg(socket, &header, MSG_CMSG_CLOEXEC | MSG_WAITALL);
    for (cmsghdr* rights = length < 0 ? nullptr : CMSG_FIRSTHDR(&header); rights;
         rights = CMSG_NXTHDR(&header, rights)) {
        if (rights->cmsg_level != SOL_SOCKET || rights->cmsg_type != SCM_RIGHTS)
            continue;
        const size_t count = (rights->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        descriptors.resize(descriptors.size() + count);
        memcpy(descriptors.data() + descriptors.size() - count, CMSG_DATA(rights), count * sizeof(int));
    }
    line.resize(static_cast<size_t>(std::max<ssize_t>(length, 0)));
    return line;
}

// No byte more: what follows is the link's. Empty: the other process has ended.
std::string receive(int socket, size_t length) {
    std::string bytes(length, '\0');
    for (size_t received = 0; received < length;) {
        const ssize_t count = recv(socket, bytes.data() + received, length - received, 0);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return {};
        received += static_cast<size_t>(count);
    }
    return bytes;
}

std::optional<Offer> receive_offer(int socket, const std::vector<int>& descriptors) {
    const auto length = read_bytes<uint64_t>(receive(socket, sizeof(uint64_t)));
    if (!length || *length > MAX_OFFER)
        return std::nullopt;
    auto offer = read_bytes<Offer>(receive(socket, *length));
    if (!offer || offer->sockets.size() != descriptors.size())
        return std::nullopt;
    for (size_t i = 0; i < descriptors.size(); ++i)
        offer->sockets[i].descriptor = descriptors[i];
    return offer;
}

} // namespace

Successor start_successor(const std::vector<std::string>& program, const Offer& offer) {
    Successor successor;
    if (offer.sockets.size() > MAX_SOCKETS) {
        successor.problem = fmt::format("there are more than {} listening sockets", MAX_SOCKETS);
        return successor;
    }
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
        successor.problem = fmt::format("no socket to a new process: {}", strerror(errno));
        return successor;
    }
    std::vector<char*> arguments, environment;
    for (const std::string& each : program)
        arguments.push_back(const_cast<char*>(each.c_str()));
    arguments.push_back(nullptr);
    std::string variable = fmt::format("{}={}", VARIABLE, DESCRIPTOR);
    for (char** each = environ; *each; ++each)
        environment.push_back(*each);
    environment.push_back(variable.data());
    environment.push_back(nullptr);

    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], DESCRIPTOR);
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    sigset_t none, pipe;
    sigemptyset(&none);
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &pipe);
    // A group of its own: when it has to be ended, what a wrapper has started is, too.
    posix_spawnattr_setflags(&attributes,
                             POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
    const int error = posix_spawnp(&successor.process, arguments[0], &actions, &attributes, arguments.data(),
                                   environment.data());
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    close(ends[1]);
    if (error == 0) {
        send_offer(ends[0], offer); // to a process that has ended already: the socket says so
        successor.socket = ends[0];
        return successor;
    }
    successor.problem = fmt::format("{} cannot be started: {}", program[0], strerror(error));
    close(ends[0]);
    return successor;
}

std::optional<Predecessor> find_predecessor() {
    const char* const value = getenv(VARIABLE);
    if (!value)
        return std::nullopt;
    Predecessor found{.socket = -1, .offer = {}, .problem = {}};
    const std::string_view text(value);
    std::from_chars(text.data(), text.data() + text.size(), found.socket);
    unsetenv(VARIABLE);

    fcntl(found.socket, F_SETFD, FD_CLOEXEC);
    timeval within = {.tv_sec = OFFER_SECONDS, .tv_usec = 0};
    if (setsockopt(found.socket, SOL_SOCKET, SO_RCVTIMEO, &within, sizeof within) != 0) {
        found.problem = fmt::format("{} is for the gateway itself to set", VARIABLE);
        return found;
    }
    std::vector<int> descriptors;
    if (receive_protocol(found.socket, descriptors) != PROTOCOL) {
        found.problem = "this program cannot take over from the version that is running: restart it instead";
        return found;
    }
    if (auto offer = receive_offer(found.socket, descriptors))
        found.offer = std::move(*offer);
    else
        found.problem = "the running process has ended, or offers what cannot be understood";
    within = {};
    setsockopt(found.socket, SOL_SOCKET, SO_RCVTIMEO, &within, sizeof within);
    return found;
}

} // namespace odoo_bus
