// One database as a service thread knows it: its fan-out, and what is needed to find where a client goes on.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "clients/fan_out.h"

namespace odoo_bus {

struct DatabaseFeed {
    DatabaseFeed(std::string database_name, FanOut::Bounds bounds)
        : database(std::move(database_name)), fan_out(bounds) {}

    // The id of the newest position: the position of a client that has received everything. 0 when it is not
    // known.
    Id here() const;

    const std::string database;
    FanOut fan_out;
    // False until the database has been read for the first time; until then subscribers wait.
    bool ready = false;
    Id newest = 0; // the greatest id that was dispatched, or the newest in the table when the gateway started
    // Positions up to this one were not dispatched in this order by this gateway, but read from the table.
    Position adopted_until = 0;
    // Other gateways serve this database, or did within the history: a client may come from one of them.
    bool has_peers = false;
    std::vector<std::function<void()>> waiting; // subscribes that came before it was ready
};

inline Id DatabaseFeed::here() const {
    if (fan_out.head() < fan_out.oldest())
        return newest; // nothing was dispatched since
    const Id id = fan_out.at(fan_out.head()).id;
    return id <= newest ? id : 0; // lost in a crash of the server
}

} // namespace odoo_bus
