// The sockets at which one thread accepts.
#include "http/listening_sockets.h"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <unistd.h>

#include "base/log.h"

namespace odoo_bus {

namespace {

// The request is not read; most clients read this all the same.
constexpr std::string_view NO_DESCRIPTOR =
    "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";

constexpr uint64_t PAUSE_MS = 100;
constexpr int MAX_REFUSED = 64; // in one pause

int open_spare() {
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

bool is_exhausted(int error) {
    return error == EMFILE || error == ENFILE || error == ENOMEM || error == ENOBUFS;
}

} // namespace

ListeningSockets::~ListeningSockets() {
    if (spare_ >= 0)
        ::close(spare_);
}

std::string ListeningSockets::open(const std::vector<Listener>& listeners, std::string_view option,
                                   std::string_view purpose, bool for_metrics, GivenSockets& given) {
    if (std::string problem = given.open(listeners, option, for_metrics, sockets_); !problem.empty())
        return problem;
    for (const ListeningSocket& socket : sockets_)
        log::info("{} {}", purpose, socket.where().text());
    return {};
}

void ListeningSockets::own_paths() {
    for (ListeningSocket& socket : sockets_)
        socket.own_path(true);
}

void ListeningSockets::watch(uv_loop_t* loop, std::function<void(int)> accept) {
    on_waiting_ = std::move(accept);
    spare_ = open_spare();
    paused_ = std::make_unique<Timer>(loop);
    for (const ListeningSocket& socket : sockets_) {
        uv_poll_t* const poll = polls_.emplace_back(std::make_unique<uv_poll_t>()).get();
        uv_poll_init(loop, poll, socket.descriptor());
        poll->data = this;
    }
    start_polling();
}

void ListeningSockets::start_polling() {
    for (const auto& poll : polls_)
        uv_poll_start(poll.get(), UV_READABLE, [](uv_poll_t* readable, int, int) {
            uv_os_fd_t descriptor;
            uv_fileno(reinterpret_cast<uv_handle_t*>(readable), &descriptor);
            static_cast<ListeningSockets*>(readable->data)->on_waiting_(descriptor);
        });
}

int ListeningSockets::accept(int listener, sockaddr_storage& peer) {
    socklen_t length = sizeof peer;
    const int socket =
        accept4(listener, reinterpret_cast<sockaddr*>(&peer), &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (socket < 0 && is_exhausted(errno)) {
        static log::Limited lines("connections that cannot be accepted", 1);
        lines.write(log::Level::error,
                    "a connection cannot be accepted: {}; raise the limit of open files "
                    "(LimitNOFILE, ulimit -n)",
                    strerror(errno));
        pause(listener);
    }
    return socket;
}

void ListeningSockets::pause(int listener) {
    for (int i = 0; i < MAX_REFUSED && spare_ >= 0; ++i) {
        ::close(spare_);
        const int refused = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (refused >= 0) {
            send(refused, NO_DESCRIPTOR.data(), NO_DESCRIPTOR.size(), MSG_NOSIGNAL);
            ::close(refused);
        }
        spare_ = open_spare();
        if (refused < 0)
            break;
    }
    for (const auto& poll : polls_)
        uv_poll_stop(poll.get());
    paused_->start(PAUSE_MS, [this] {
        if (spare_ < 0)
            spare_ = open_spare();
        start_polling();
    });
}

void ListeningSockets::hand_over() {
    for (ListeningSocket& socket : sockets_)
        socket.own_path(false);
    close();
    handed_over_ = true;
}

void ListeningSockets::close() {
    paused_.reset();
    for (const auto& poll : polls_)
        if (!uv_is_closing(reinterpret_cast<const uv_handle_t*>(poll.get())))
            uv_close(reinterpret_cast<uv_handle_t*>(poll.get()), nullptr);
    sockets_.clear();
}

} // namespace odoo_bus
