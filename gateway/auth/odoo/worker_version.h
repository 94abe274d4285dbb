// Pages whose script is older than the Odoo that they talk to: Odoo tells them to be loaded anew, and so does
// the gateway, once it knows which version is the right one.
//
// What is known may be out of date itself, so nobody is closed on it: Odoo is asked after the page with
// another version has come, and when it cannot tell, nobody is closed.
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
    // Reads Odoo's login page as nobody, and calls back with it, or with nothing.
    using Fetch = std::function<void(const Requester& who, std::function<void(std::optional<std::string>)>)>;

    // `setting`: "auto", "off", or the version.
    WorkerVersion(std::string setting, Fetch fetch)
        : setting_(std::move(setting)), fetch_(std::move(fetch)) {}

    void configure(const std::string& setting) { setting_ = setting; }
    // A page has come; closed now or later when it is outdated.
    void check(std::shared_ptr<ConnectionLink> link, std::shared_ptr<const Requester> who, Monotonic now);
    void tick(Monotonic now);

    // What the login page says, "19.0-2".
    static std::optional<std::string> find(std::string_view page);

private:
    struct Page {
        std::shared_ptr<ConnectionLink> link;
        std::shared_ptr<const Requester> who;
    };
    void learn(std::vector<Page> pages, const std::optional<std::string>& version);

    std::string setting_;
    const Fetch fetch_;
    std::string known_; // of Odoo; empty: it was not asked yet
    std::vector<Page> waiting_;
    bool asking_ = false;
    Monotonic asked_;
};

} // namespace odoo_bus
