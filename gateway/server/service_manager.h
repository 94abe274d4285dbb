// What systemd, or whatever else has started the gateway, hands over and is told: sockets
// (sd_listen_fds(3)) and states (sd_notify(3)). Both are a few environment variables and a datagram, so that
// no library is needed for them.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/options.h"

namespace odoo_bus {

class ServiceManager {
public:
    // A listening socket that was opened by somebody else.
    struct Socket {
        int descriptor;
        std::string name; // LISTEN_FDNAMES; empty: it has none
    };

    // Takes the variables out of the environment, so that no other program believes that they are meant for
    // it: call it once, before there are threads. `is_successor`: they were the former process's own.
    static ServiceManager from_environment(bool is_successor);

    // Empty, or one sentence why the sockets cannot be used.
    const std::string& problem() const { return problem_; }
    const std::vector<Socket>& sockets() const { return sockets_; }

    // "READY=1" and what else sd_notify(3) says; several of them are separated by line feeds. Goes nowhere
    // when nobody listens.
    void tell(std::string_view state) const;
    void tell_ready() const { tell("READY=1"); }
    void tell_reloading() const;

    // How often it wants to be told "WATCHDOG=1"; nothing: never.
    std::optional<std::chrono::milliseconds> watchdog() const { return watchdog_; }

private:
    std::vector<Socket> sockets_;
    std::string problem_;
    std::string address_; // of the socket for states, as sockaddr_un has it
    std::optional<std::chrono::milliseconds> watchdog_;
};

} // namespace odoo_bus
