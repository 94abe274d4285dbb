// A listening socket: TCP or unix.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <sys/socket.h>

#include "http/listener.h"

namespace odoo_bus {

// Where the system finds a listener, and how long that is. The path of a unix socket is cut off at what fits.
socklen_t to_socket_address(const Listener& where, sockaddr_storage& address);

class ListeningSocket {
public:
    ListeningSocket() = default;
    ~ListeningSocket();
    ListeningSocket(ListeningSocket&& other) noexcept;
    ListeningSocket& operator=(ListeningSocket&&) = delete;

    // Empty, or one sentence, with the option's name, why it cannot listen there.
    std::string open(const Listener& where, std::string_view option = "--listen");
    // Takes over a socket that listens already, and closes it also when it cannot be used; `giver` stands
    // before the sentence.
    std::string adopt(int descriptor, std::string_view giver);
    // As adopt(), of the former process of this gateway that had opened it for `asked`.
    std::string succeed(int descriptor, const Listener& asked, bool is_given, std::string_view giver);

    // Whether it removes the path of a unix socket in the end: of two processes that listen there one does.
    void own_path(bool own) { owns_path_ = own && where_.is_unix() && !is_given_; }
    // The service manager has opened it.
    bool is_given() const { return is_given_; }

    int descriptor() const { return descriptor_; }
    // Where it listens, with the port that the system chose.
    const Listener& where() const { return where_; }
    // What open() was asked for.
    const Listener& asked() const { return asked_; }

private:
    int descriptor_ = -1;
    bool is_given_ = false;
    bool owns_path_ = false;
    Listener where_, asked_;
};

// Sockets that listen already, from the service manager or from the former process, and wait for being used.
class GivenSockets {
public:
    void add(ListeningSocket socket, bool for_metrics);

    // What is to be listened at: the given ones when there are some, else `listeners`, of which those that
    // the former process had are taken over. Empty, or one sentence why that is not possible.
    std::string open(const std::vector<Listener>& listeners, std::string_view option, bool for_metrics,
                     std::vector<ListeningSocket>& sockets);

    // That the service manager has given for clients.
    std::vector<Listener> given() const;

private:
    struct Waiting {
        ListeningSocket socket;
        bool for_metrics;
        bool used = false;
    };
    std::vector<Waiting> waiting_;
};

} // namespace odoo_bus
