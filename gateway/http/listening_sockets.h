// The sockets at which one thread accepts.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <uv.h>

#include "http/listening_socket.h"

namespace odoo_bus {

class ListeningSockets {
public:
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
    // Another process accepts at the same sockets.
    void hand_over();
    void close();

    bool were_handed_over() const { return handed_over_; } // from any thread

private:
    std::vector<ListeningSocket> sockets_;
    std::vector<std::unique_ptr<uv_poll_t>> polls_; // of sockets_
    std::function<void(int)> on_waiting_;
    std::atomic<bool> handed_over_ = false;
};

} // namespace odoo_bus
