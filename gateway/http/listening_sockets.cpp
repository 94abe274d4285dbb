// The sockets at which one thread accepts.
#include "http/listening_sockets.h"

#include "base/log.h"

namespace odoo_bus {

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
    for (const ListeningSocket& socket : sockets_) {
        uv_poll_t* const poll = polls_.emplace_back(std::make_unique<uv_poll_t>()).get();
        uv_poll_init(loop, poll, socket.descriptor());
        poll->data = this;
        uv_poll_start(poll, UV_READABLE, [](uv_poll_t* readable, int, int) {
            uv_os_fd_t descriptor;
            uv_fileno(reinterpret_cast<uv_handle_t*>(readable), &descriptor);
            static_cast<ListeningSockets*>(readable->data)->on_waiting_(descriptor);
        });
    }
}

void ListeningSockets::hand_over() {
    for (ListeningSocket& socket : sockets_)
        socket.own_path(false);
    close();
    handed_over_ = true;
}

void ListeningSockets::close() {
    for (const auto& poll : polls_)
        if (!uv_is_closing(reinterpret_cast<const uv_handle_t*>(poll.get())))
            uv_close(reinterpret_cast<uv_handle_t*>(poll.get()), nullptr);
    sockets_.clear();
}

} // namespace odoo_bus
