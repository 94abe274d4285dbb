// The session that connections without one of their own share, one for each host: Odoo would write a session
// file for each of them otherwise.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace odoo_bus {

class PublicSessions {
public:
    using Go = std::function<void(bool proceed)>;

    // Calls `go` when a request for this host may be sent: at once, or when the first request, which brings
    // the session, has been answered. False: that one had no response.
    void wait(const std::string& host, Go go);
    // A request for this host was answered; `session`: the one that the response sets, if any.
    void answered(const std::string& host, const std::optional<std::string>& session);
    // There was no response.
    void failed(const std::string& host);
    // Odoo has ended the session.
    void forget(const std::string& host) { hosts_.erase(host); }

    std::optional<std::string> session(const std::string& host) const;

private:
    struct Host {
        std::string session; // empty: it is being asked for
        std::vector<Go> waiting;
    };
    void release(Host& host, bool proceed);

    static constexpr size_t MAX_HOSTS = 10'000; // names come from clients
    std::map<std::string, Host> hosts_;
};

} // namespace odoo_bus
