// What hears a database's events: on the thread that reads it, in their order.
#pragma once

#include <string>
#include <vector>

#include "protocol/database_event.h"

namespace odoo_bus {

class DatabaseObserver {
public:
    virtual ~DatabaseObserver() = default;
    virtual void on_event(const std::string& database, const DatabaseEvent& event) = 0;
};

// Passes each event on to all observers, in the order in which they were added. One may remove itself
// meanwhile.
class DatabaseObservers final : public DatabaseObserver {
public:
    void add(DatabaseObserver& observer) { observers_.push_back(&observer); }
    void remove(DatabaseObserver& observer) { std::erase(observers_, &observer); }

    void on_event(const std::string& database, const DatabaseEvent& event) override {
        for (size_t i = 0; i < observers_.size(); ++i)
            observers_[i]->on_event(database, event);
    }

private:
    std::vector<DatabaseObserver*> observers_;
};

} // namespace odoo_bus
