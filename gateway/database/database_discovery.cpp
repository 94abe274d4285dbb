// The databases that match --database-match, while they come and go.
#include "database/database_discovery.h"

#include <algorithm>

#include "base/log.h"
#include "metrics/metrics.h"

namespace odoo_bus {

namespace {

const metrics::Family
    aside("odoo_bus_databases_set_aside",
          "Databases that match --database-match and cannot be read: they are not Odoo's, or not "
          "open to this role.",
          metrics::Type::gauge);
const metrics::Family left_out_databases("odoo_bus_databases_left_out",
                                         "Databases that match --database-match and exceed --max-databases.",
                                         metrics::Type::gauge);

// A new database of Odoo has its tables some seconds after it was created.
constexpr Duration FIRST_PACE = std::chrono::seconds(2);
constexpr Duration SLOWEST_PACE = std::chrono::seconds(60);

// Number of connections that are opened at a time.
constexpr size_t MAX_BEGINNING = 50;

} // namespace

void DatabaseDiscovery::found(const std::vector<DatabaseCatalog::Found>& found, Monotonic now) {
    std::set<std::string> there;
    for (const DatabaseCatalog::Found& each : found)
        there.insert(each.name);
    for (const std::string& name : std::set<std::string>(served_))
        if (!there.contains(name)) {
            log::info("database \"{}\": it is not there any more, and forgotten", name);
            served_.erase(name);
            beginning_.erase(name);
            actions_.forget(name);
        }
    std::erase_if(aside_, [&there](const auto& each) { return !there.contains(each.first); });

    size_t left_out = 0;
    waiting_ = false;
    for (const auto& [name, open] : found) {
        const auto known = aside_.find(name);
        if (!open || served_.contains(name) || (known != aside_.end() && now < known->second.again))
            continue;
        if (served_.size() - beginning_.size() >= most_) {
            ++left_out;
        } else if (served_.size() >= most_ || beginning_.size() >= MAX_BEGINNING) {
            waiting_ = true;
        } else {
            served_.insert(name);
            beginning_.insert(name);
            actions_.serve(name);
        }
    }
    tell_left_out(left_out);
    aside.with().set(static_cast<double>(aside_.size()));
    judge();
}

void DatabaseDiscovery::judge() {
    if (!waiting_ && beginning_.empty())
        complete_.store(true, std::memory_order_relaxed);
}

void DatabaseDiscovery::tell_left_out(size_t left_out) {
    if (left_out > left_out_)
        log::warning("{} more databases match --database-match than --max-databases ({}) lets be served",
                     left_out, most_);
    left_out_ = left_out;
    left_out_databases.with().set(static_cast<double>(left_out));
}

void DatabaseDiscovery::set_aside(const std::string& name, const std::string& reason, Monotonic now) {
    served_.erase(name);
    beginning_.erase(name);
    SetAside& each = aside_[name];
    each.pace = std::clamp(each.pace * 2, FIRST_PACE, SLOWEST_PACE);
    if (reason != each.reason)
        log::warning("database \"{}\": {}; it is set aside, and looked at again now and then", name, reason);
    each.reason = reason;
    each.tried = now;
    each.again = now + each.pace;
    judge();
}

void DatabaseDiscovery::began(const std::string& name) {
    beginning_.erase(name);
    aside_.erase(name);
    judge();
}

void DatabaseDiscovery::ring(const std::string& name) {
    // Any role may notify, so this is no reason to try more often than at first.
    if (const auto it = aside_.find(name); it != aside_.end())
        it->second.again = std::min(it->second.again, it->second.tried + FIRST_PACE);
}

} // namespace odoo_bus
