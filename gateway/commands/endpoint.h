// A server that a command connects to.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "config/options.h"

namespace odoo_bus {

struct Endpoint {
    std::string address; // a host's name or a numeric address to connect to
    uint16_t port = 80;
    std::string path; // of a Unix socket, instead of both
    bool tls = false;
    std::string host = "localhost";    // for the header Host, and for the certificate
    std::string target = "/websocket"; // path and query of the URL

    static Endpoint of(const Listener& listener);
    // ws://host[:port][/path], likewise wss, http and https, or ws+unix:/path.
    static std::optional<Endpoint> of_url(std::string_view url);

    std::string origin() const; // "https://odoo.example.com"
    std::string name() const;   // the host without its port, as in a URL: "odoo.example.com", "[::1]"
};

} // namespace odoo_bus
