// The service manager, such as systemd: the sockets that it passes (sd_listen_fds(3)), and the states that it
// is sent (sd_notify(3)). Both need a few environment variables and a datagram, and no library.
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
    // A listening socket that the service manager has opened.
    struct Socket {
        int descriptor;
        std::string name; // LISTEN_FDNAMES; empty: it has none
    };

    // Removes the variables from the environment, so that no child takes them for its own. To be called once,
    // before there are threads. `is_successor`: the variables were the former process's.
    static ServiceManager from_environment(bool is_successor);

    // Empty, or one sentence why the sockets cannot be used.
    const std::string& problem() const { return problem_; }
    const std::vector<Socket>& sockets() const { return sockets_; }

    // "READY=1" and other states of sd_notify(3), separated by line feeds. Does nothing without a service
    // manager.
    void tell(std::string_view state) const;
    void tell_ready() const { tell("READY=1"); }
    void tell_reloading() const;

    // How often it expects "WATCHDOG=1"; nothing: never.
    std::optional<std::chrono::milliseconds> watchdog() const { return watchdog_; }

private:
    std::vector<Socket> sockets_;
    std::string problem_;
    std::string address_; // of the socket for states, as sockaddr_un has it
    std::optional<std::chrono::milliseconds> watchdog_;
};

} // namespace odoo_bus
