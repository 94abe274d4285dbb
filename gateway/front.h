// The front thread: accepts connections, reads and judges their request heads, answers itself what is no
// WebSocket, and admits the others.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "admission.h"
#include "listening_socket.h"
#include "loop.h"
#include "options.h"
#include "visitor.h"

namespace odoo_bus {

class Front {
public:
    struct Surroundings {
        std::function<void(Admission)> admit;     // takes over the socket
        std::function<size_t()> connections;      // that are admitted now
        std::function<std::string()> unavailable; // empty, or why no database can be served
    };

    Front(const Options& options, Surroundings surroundings);
    ~Front();

    // Opens every listener. Empty, or one sentence why that is not possible.
    std::string listen();
    void start();
    // Accepts no more, and ends the thread; waits for it.
    void stop();
    void reconfigure(const Options& options);

private:
    void watch_listeners();
    void accept(int listener);
    void on_event(Visitor& visitor);
    Response route(Visitor& visitor);
    Response admit(Visitor& visitor);
    Response health() const;
    void tick();

    Options options_;
    const Surroundings surroundings_;
    Loop loop_;
    std::vector<ListeningSocket> sockets_;
    std::vector<std::unique_ptr<uv_poll_t>> polls_; // of sockets_
    std::unordered_map<Visitor*, std::unique_ptr<Visitor>> visitors_;
};

} // namespace odoo_bus
