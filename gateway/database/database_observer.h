// Whom a database tells what it read: every service thread, in the same order.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "protocol/notification.h"

namespace odoo_bus {

class DatabaseObserver {
public:
    virtual ~DatabaseObserver() = default;

    // The database is known by name; clients may subscribe and wait. Said again when it can be read after
    // let_go().
    virtual void expect(const std::string& database) = 0;
    // It has been read for the first time, or again from the start. `kept`: what can be replayed, in order;
    // positions up to `adopted_until` were read from the table, not dispatched in this order. `missed`:
    // clients may have missed something for good.
    virtual void begin(const std::string& database, std::vector<BatchPtr> kept, Position head, Id newest,
                       Position adopted_until, bool missed) = 0;
    virtual void publish(const std::string& database, BatchPtr batch, Position keep_from) = 0;
    // These were lost by the server in a crash.
    virtual void lost(const std::string& database, std::vector<Position> positions, Id newest) = 0;
    // Users of these partners have changed.
    virtual void users_changed(const std::string& database, const std::set<int64_t>& partners) = 0;
    // It is to be copied, renamed or dropped: no connection to it may stay.
    virtual void let_go(const std::string& database) = 0;
    // It is not served any more: its clients are closed.
    virtual void forget(const std::string& database) = 0;
    virtual void peers(const std::string& database, bool has_peers) = 0;
};

} // namespace odoo_bus
