// The client that opened a connection, as far as an authorizer may need to know it.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "http/address.h"
#include "http/memory_account.h"
#include "http/origin.h"

namespace odoo_bus {

class RequestHead;

// Everything comes from the client or its proxy, but holds no control character: the head was judged.
struct Requester {
    // The host that the browser asked for, with its port: the last X-Forwarded-Host of a trusted proxy, else
    // Host.
    std::string host;
    // The page is of that site, or of an allowed origin. Otherwise it must not be served with cookies.
    bool own_origin = false;
    // The page is of that site, whatever other origins are allowed.
    bool same_host = false;
    // The browser's: the last X-Forwarded-For of a trusted proxy, else the connection's. Nothing for a unix
    // socket without that header.
    std::optional<Address> address;

    // One pair for each name, the first of doubles; without those that this gateway sets itself.
    std::vector<std::pair<std::string, std::string>> cookies;

    std::string origin, query; // as they came
    std::string sent_host;     // Host, likewise
    // As a trusted proxy sent them; empty otherwise.
    std::string forwarded_host, forwarded_proto, forwarded_for, real_ip;
    std::string user_agent, accept_language, authorization, protocols;

    std::string worker_version; // of the page's script, as it says itself; empty when it says nothing
    std::string new_cookie;     // a Set-Cookie header's value for the answer; empty: none

    // What is held to answer the client is charged to it; null when nothing is accounted.
    std::shared_ptr<MemoryAccount> account = {};

    std::optional<std::string_view> cookie(std::string_view name) const;
    size_t held_bytes() const;
};

// What of the options decides what is believed.
struct Trust {
    std::vector<Network> proxies;
    std::vector<std::string> origins; // "https://shop.example.com"
    OriginMatch origin_match = OriginMatch::origin;

    // `peer`: of the connection; nothing is a unix socket, which only a proxy of this machine can reach.
    bool is_proxy(const std::optional<Address>& peer) const;
};

// The client's address, by which it is limited: as its trusted proxy names it, or the other end of the
// connection. Nothing when that is a proxy which does not say; all addresses that cannot be read are one, ::,
// so that no spelling escapes the limits.
std::optional<Address> client_address(const RequestHead& head, const std::optional<Address>& peer,
                                      const Trust& trust);

// The address that the browser requested, with the scheme and the port as far as a trusted proxy tells them.
RequestedSite requested_site(const RequestHead& head, const std::optional<Address>& peer, const Trust& trust);

Requester make_requester(const RequestHead& head, const std::optional<Address>& peer, const Trust& trust);

} // namespace odoo_bus
