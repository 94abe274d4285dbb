// A client's socket on a service thread's loop, for what is not a WebSocket: bytes that the client has not
// read yet wait in one buffer, and nothing is allocated while none do.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/socket_poll.h"

namespace odoo_bus {

class SocketWriter {
public:
    class Owner {
    public:
        // Everything has left, after want_drained().
        virtual void on_drained() = 0;
        // The client has gone, or has read everything after finish(). May be said again.
        virtual void on_gone() = 0;

    protected:
        ~Owner() = default;
    };

    SocketWriter(uv_loop_t* loop, int socket, Owner& owner);
    ~SocketWriter(); // closes the socket
    SocketWriter(const SocketWriter&) = delete;
    SocketWriter& operator=(const SocketWriter&) = delete;

    bool is_clear() const { return waiting_.empty() && state_ == State::open; }
    // Bytes that wait for the socket.
    size_t waiting() const { return waiting_.size(); }
    // What the socket does not take now waits. A failure shows later, as on_gone().
    void send(std::string_view bytes);
    void want_drained();
    // The connection ends now, and what waits is not sent. The owner hears it from the loop.
    void drop();
    // Nothing more is sent: the client is told so when everything has left.
    void finish();

private:
    void watch();
    void on_event(int status, int events);
    // False when the client has gone.
    bool receive();
    void flush();

    Owner& owner_;
    SocketPoll poll_;
    const int socket_;
    std::string waiting_;
    size_t received_ = 0; // unexpected bytes
    bool wants_drained_ = false;
    enum class State : uint8_t {
        open,
        finishing, // when everything has left
        finished,
    } state_ = State::open;
};

} // namespace odoo_bus
