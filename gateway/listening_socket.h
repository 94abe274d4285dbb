// A listening socket: TCP or unix.
#pragma once

#include <string>
#include <string_view>

#include "options.h"

namespace odoo_bus {

class ListeningSocket {
public:
    ListeningSocket() = default;
    ~ListeningSocket();
    ListeningSocket(ListeningSocket&& other) noexcept;
    ListeningSocket& operator=(ListeningSocket&&) = delete;

    // Empty, or one sentence, with the option's name, why it cannot listen there.
    std::string open(const Listener& where, std::string_view option = "--listen");

    int descriptor() const { return descriptor_; }
    // Where it listens, with the port that the system chose.
    const Listener& where() const { return where_; }

private:
    int descriptor_ = -1;
    Listener where_;
};

} // namespace odoo_bus
