// What happens at a socket, told on a libuv loop.
#pragma once

#include <utility>

#include <uv.h>

namespace odoo_bus {

class SocketPoll {
public:
    SocketPoll() = default;
    ~SocketPoll() { close(); }
    SocketPoll(const SocketPoll&) = delete;
    SocketPoll& operator=(const SocketPoll&) = delete;

    // The socket stays its owner's, who closes it after close().
    void open(uv_loop_t* loop, int socket) {
        close();
        poll_ = new uv_poll_t;
        uv_poll_init(loop, poll_, socket);
    }
    bool is_open() const { return poll_ != nullptr; }

    // Waits for these events (UV_READABLE and others; 0: none) until it is told otherwise. `on_event`, a
    // member function, is told 0, or a negative error of libuv's, and which of them happen. It may delete
    // the owner.
    template <auto on_event, class Owner>
    void wait_for(int events, Owner* owner) {
        poll_->data = owner;
        if (events == 0)
            uv_poll_stop(poll_);
        else
            uv_poll_start(poll_, events, [](uv_poll_t* poll, int status, int what) {
                (static_cast<Owner*>(poll->data)->*on_event)(status, what);
            });
    }

    void close() {
        if (uv_poll_t* const poll = std::exchange(poll_, nullptr)) {
            uv_poll_stop(poll);
            uv_close(reinterpret_cast<uv_handle_t*>(poll),
                     [](uv_handle_t* closed) { delete reinterpret_cast<uv_poll_t*>(closed); });
        }
    }

private:
    uv_poll_t* poll_ = nullptr; // freed by its close callback
};

} // namespace odoo_bus
