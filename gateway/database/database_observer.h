// What hears a database's events: on the thread that reads it, in their order.
#pragma once

#include <string>

#include "protocol/database_event.h"

namespace odoo_bus {

class DatabaseObserver {
public:
    virtual ~DatabaseObserver() = default;
    virtual void on_event(const std::string& database, const DatabaseEvent& event) = 0;
};

} // namespace odoo_bus
