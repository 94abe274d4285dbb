// SIGUSR2: a new process of the program that stands on the disk now is started, and gets everything from this
// one: first what it needs to know before it reads its configuration, an offer with the listening sockets;
// then, while both run, the state of the databases (succession.h).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>
#include <unistd.h>

#include "base/clock.h"
#include "http/listening_socket.h"

namespace odoo_bus {

struct Offer {
    struct Socket {
        int descriptor;
        bool for_metrics;
        bool is_given; // by the service manager
        Listener asked;
    };
    pid_t process = getpid(); // that makes it
    std::string gateway_id;
    uint64_t positions = 0;     // the number in its cookies (gateway_cookie.h)
    Duration drain_within = {}; // how long it will have clients
    std::vector<Socket> sockets;
};

// --- the old process ---

struct Successor {
    pid_t process = -1; // and its group
    int socket = -1;    // to it
    std::string problem;
};

// `program`: as it was started, so that what stands there now is found; with its arguments.
Successor start_successor(const std::vector<std::string>& program, const Offer& offer);

// --- the new process ---

struct Predecessor {
    int socket; // to it
    Offer offer;
    std::string problem; // not empty: the offer cannot be taken
};

// What start_successor() has left for this process; nothing when it was started in another way. Call it
// before there are threads.
std::optional<Predecessor> find_predecessor();

} // namespace odoo_bus
