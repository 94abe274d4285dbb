// Pages whose script is older than Odoo.
#include "auth/odoo/worker_version.h"

#include "base/log.h"
#include "config/worker_version_value.h"
#include "metrics/metrics.h"

namespace odoo_bus {

namespace {

const metrics::Counter outdated("odoo_bus_outdated_pages_total",
                                "Pages that were told to reload, because Odoo has another version.");

constexpr std::chrono::seconds INTERVAL{5}; // between two questions
constexpr size_t MAX_WAITING = 10'000;

Refusal outdated_version() {
    return {.close_code = 1000, .reason = "OUTDATED_VERSION"};
}

} // namespace

// "websocket_worker_version": "19.0-2", and since 20.0 "worker_version" within bus_info.
std::optional<std::string> WorkerVersion::find(std::string_view page) {
    constexpr std::string_view NAME = "worker_version\"";
    const size_t name = page.find(NAME);
    if (name == page.npos)
        return std::nullopt;
    std::string_view rest = page.substr(name + NAME.size(), 2 * MAX_WORKER_VERSION_BYTES);
    const size_t begin = rest.find_first_not_of(" :");
    if (begin == rest.npos || begin == 0 || rest[begin] != '"')
        return std::nullopt;
    rest.remove_prefix(begin + 1);
    const size_t end = rest.find('"');
    if (end == rest.npos || !is_worker_version(rest.substr(0, end)))
        return std::nullopt;
    return std::string(rest.substr(0, end));
}

// Only browsers are closed, as Odoo does.
void WorkerVersion::check(std::shared_ptr<ConnectionLink> link, std::shared_ptr<const Requester> who,
                          Monotonic now) {
    const std::string& version = who->worker_version;
    if (setting_ == "off" || version.empty() || who->user_agent.empty())
        return;
    if (setting_ != "auto") {
        if (version == setting_)
            return;
        outdated.add();
        return link->take_back(outdated_version());
    }
    if (version == known_ || waiting_.size() >= MAX_WAITING)
        return;
    waiting_.push_back({std::move(link), std::move(who)});
    tick(now);
}

void WorkerVersion::tick(Monotonic now) {
    if (waiting_.empty() || asking_ || now - asked_ < INTERVAL)
        return;
    asking_ = true;
    asked_ = now;
    auto pages = std::make_shared<std::vector<Page>>(std::exchange(waiting_, {}));
    fetch_(*pages->back().who, [this, pages](const std::optional<std::string>& page) {
        asking_ = false;
        learn(std::move(*pages), page ? find(*page) : std::nullopt);
    });
}

void WorkerVersion::learn(std::vector<Page> pages, const std::optional<std::string>& version) {
    if (!version) {
        log::debug("Odoo's login page does not name the version of pages: none is closed to be reloaded");
        return;
    }
    if (*version != known_)
        log::info("pages should have version {}", *version);
    known_ = *version;
    for (const Page& page : pages) {
        if (page.who->worker_version == known_)
            continue;
        outdated.add();
        page.link->take_back(outdated_version());
    }
}

} // namespace odoo_bus
