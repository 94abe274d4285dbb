// The sockets at which one thread accepts.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <sys/socket.h>
#include <uv.h>

#include "base/timer.h"
#include "http/listening_socket.h"

namespace odoo_bus {

class ListeningSockets {
public:
    ~ListeningSockets();

    // Opens every listener, or takes it from `given`. Empty, or one sentence why that is not possible.
    // `option` and `purpose` stand in what is said and logged about them.
    std::string open(const std::vector<Listener>& listeners, std::string_view option,
                     std::string_view purpose, bool for_metrics, GivenSockets& given);
    // Where this process listens: between open() and watch().
    const std::vector<ListeningSocket>& sockets() const { return sockets_; }
    // From now on the paths of its unix sockets are its own.
    void own_paths();

    // --- from the loop's thread ---

    // Calls `accept` with a socket at which a connection waits, for as long as one does.
    void watch(uv_loop_t* loop, std::function<void(int socket)> accept);
    // A connection that waits at `listener`,; -1 when none does.
    // When the process, or the system, has no descriptor left, those that wait are refused with 503, and
    // accepting pauses, so that connected clients are served.
    int accept(int listener, sockaddr_storage& peer);
    // Another process accepts at the same sockets.
    void hand_over();
    void close();

    bool were_handed_over() const { return handed_over_; } // from any thread

private:
    void start_polling();
    void pause(int listener);

    std::vector<ListeningSocket> sockets_;
    std::vector<std::unique_ptr<uv_poll_t>> polls_; // of sockets_
    std::function<void(int)> on_waiting_;
    std::unique_ptr<Timer> paused_;
    int spare_ = -1; // a descriptor in reserve, in whose place a connection is accepted to be refused
    std::atomic<bool> handed_over_ = false;
};

} // namespace odoo_bus
