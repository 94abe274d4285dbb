// The databases of a server that match --database-match, while they come and go: which of them are to be
// served now.
//
// One that matches and cannot be read, because it is none of Odoo's or not open to this role, is set aside:
// that is logged once, and it is tried again at a slow pace.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "database/database_catalog.h"

namespace odoo_bus {

class DatabaseDiscovery {
public:
    struct Actions {
        std::function<void(const std::string& name)> serve;
        std::function<void(const std::string& name)> forget;
    };

    DatabaseDiscovery(size_t most, Actions actions) : most_(most), actions_(std::move(actions)) {}

    // The databases that exist now.
    void found(const std::vector<DatabaseCatalog::Found>& found, Monotonic now);
    // One that was to be served cannot be read; it has been forgotten.
    void set_aside(const std::string& name, const std::string& reason, Monotonic now);
    // It is being read, for the first time.
    void began(const std::string& name);
    // Something is new in it, so that it may be one of Odoo's by now.
    void ring(const std::string& name);

    // Every database that was there at first is being read or was set aside. From any thread.
    bool is_complete() const { return complete_.load(std::memory_order_relaxed); }

private:
    struct SetAside {
        std::string reason;
        Monotonic tried = {};
        Duration pace = {};
        Monotonic again = {};
    };

    void tell_left_out(size_t left_out);
    void judge();

    const size_t most_;
    const Actions actions_;
    std::set<std::string> served_;
    std::set<std::string> beginning_; // of them: not read yet
    std::map<std::string, SetAside> aside_;
    size_t left_out_ = 0;
    bool waiting_ = true; // some are for the next time
    std::atomic<bool> complete_ = false;
};

} // namespace odoo_bus
