// The session that connections without one of their own share.
#include "auth/odoo/public_session.h"

#include <utility>

namespace odoo_bus {

void PublicSessions::wait(const std::string& host, Go go) {
    const auto known = hosts_.find(host);
    if (known != hosts_.end() && known->second.session.empty()) {
        known->second.waiting.push_back(std::move(go));
        return;
    }
    if (known == hosts_.end()) {
        if (hosts_.size() >= MAX_HOSTS)
            std::erase_if(hosts_, [](const auto& each) { return !each.second.session.empty(); });
        hosts_.try_emplace(host); // this request brings it
    }
    go(true);
}

std::optional<std::string> PublicSessions::session(const std::string& host) const {
    const auto known = hosts_.find(host);
    return known == hosts_.end() || known->second.session.empty() ? std::nullopt
                                                                  : std::optional(known->second.session);
}

void PublicSessions::release(Host& host, bool proceed) {
    for (const Go& go : std::exchange(host.waiting, {}))
        go(proceed);
}

void PublicSessions::answered(const std::string& host, const std::optional<std::string>& session) {
    const auto known = hosts_.find(host);
    if (known == hosts_.end())
        return;
    if (session)
        known->second.session = *session;
    Host released{{}, std::exchange(known->second.waiting, {})};
    if (known->second.session.empty())
        hosts_.erase(known); // an error sets none: the next one may
    release(released, true);
}

void PublicSessions::failed(const std::string& host) {
    const auto known = hosts_.find(host);
    if (known == hosts_.end() || !known->second.session.empty())
        return;
    Host released{{}, std::move(known->second.waiting)};
    hosts_.erase(known);
    release(released, false);
}

} // namespace odoo_bus
