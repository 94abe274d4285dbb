// Pages whose script is older than Odoo: Odoo closes them so that they are reloaded, and so does the gateway,
// as soon as it knows which version is the right one.
//
// The version that is known may be outdated itself, so no page is closed because of it: Odoo is asked after
// the page with another version has connected, and if it does not say, no page is closed.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "auth/odoo/connection_link.h"
#include "base/clock.h"
#include "http/requester.h"

namespace odoo_bus {

class WorkerVersion {
public:
    // Reads Odoo's login page without cookies, and calls back with it, or with nothing.
    using Fetch = std::function<void(const Requester& who, std::function<void(std::optional<std::string>)>)>;

    // `setting`: "auto", "off", or the version.
    WorkerVersion(std::string setting, Fetch fetch)
        : setting_(std::move(setting)), fetch_(std::move(fetch)) {}

    void configure(const std::string& setting) { setting_ = setting; }
    // A page has connected; it is closed, now or later, if it is outdated.
    void check(std::shared_ptr<ConnectionLink> link, std::shared_ptr<const Requester> who, Monotonic now);
    void tick(Monotonic now);

    // The version in the login page, "19.0-2".
    static std::optional<std::string> find(std::string_view page);

private:
    struct Page {
        std::shared_ptr<ConnectionLink> link;
        std::shared_ptr<const Requester> who;
    };
    void learn(std::vector<Page> pages, const std::optional<std::string>& version);

    std::string setting_;
    const Fetch fetch_;
    std::string known_; // Odoo's; empty: not asked yet
    std::vector<Page> waiting_;
    bool asking_ = false;
    Monotonic asked_;
};

} // namespace odoo_bus
