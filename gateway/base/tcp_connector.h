// Connects to the first address of a host that can be connected to: neither the resolver nor an address that
// does not answer holds up the loop, or the others.
//
// libuv's handles and requests delete themselves when libuv has let go of them: that may be after the
// connector has gone.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include <netdb.h>
#include <uv.h>

#include "base/socket_poll.h"
#include "base/timer.h"

namespace odoo_bus {

class TcpConnector {
public:
    // `socket` is connected, does not block, and is the callee's; or -1, for `problem`.
    using OnConnected = std::function<void(int socket, const std::string& problem)>;

    // Calls back once, never from within this call. The time is that of all addresses together; the
    // resolver's is the caller's to bound.
    TcpConnector(uv_loop_t* loop, const std::string& host, uint16_t port, uint64_t timeout_ms,
                 OnConnected on_connected);
    ~TcpConnector(); // gives up, if it has not called back
    TcpConnector(const TcpConnector&) = delete;
    TcpConnector& operator=(const TcpConnector&) = delete;

private:
    struct Lookup;

    static void resolved(uv_getaddrinfo_t* request, int status, addrinfo* addresses);
    void connect_next(const std::string& problem);
    void connect_later(int error);
    void on_writable(int status, int events);
    void hang_up();
    void end(int socket, const std::string& problem);

    uv_loop_t* const loop_;
    const OnConnected on_connected_;
    Timer patience_; // of one address
    const uint64_t timeout_ms_;
    Lookup* lookup_ = nullptr;
    addrinfo* addresses_ = nullptr;
    const addrinfo* next_ = nullptr;
    unsigned address_count_ = 0;
    int socket_ = -1;
    SocketPoll poll_; // of socket_
};

} // namespace odoo_bus
