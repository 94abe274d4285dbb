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

    // Calls `go` when a question for this host may be sent: at once, or when the question that is to bring
    // the session has been answered. False: that one had no answer.
    void wait(const std::string& host, Go go);
    // The answer to a question for this host: the session that it sets, if any.
    void answered(const std::string& host, const std::optional<std::string>& session);
    // There was no answer.
    void failed(const std::string& host);
    // Odoo does not know it any more.
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
