// The answer of a database's thread to a client whose `last` is older than the history.
#pragma once

#include <string>
#include <vector>

#include "protocol/id.h"

namespace odoo_bus {

// What a client that names `last` has to be given from the table, because the history does not reach back.
struct ReplayAnswer {
    bool failed = false;      // the database cannot be asked now
    bool pending = false;     // `last` is still to be dispatched here: another gateway was quicker
    bool last_exists = false; // the row `last` is still there
    bool more = false;        // rows are left: ask again with `next`
    Id next = 0;
    struct Element {
        Id id;
        std::string channel;
        std::string element;
    };
    std::vector<Element> elements; // by id
};

} // namespace odoo_bus
