// What a process that reads the databases tells the one that follows it: the events that its own clients
// hear, in the same order.
#pragma once

#include <string>

#include "protocol/database_event.h"
#include "take_over/link.h"

namespace odoo_bus {

class SuccessorFeed {
public:
    // `keeps_history`: the other process is to read next, so that it needs all that can be replayed. A
    // process that is being drained serves the clients that it has, and no client begins there.
    SuccessorFeed(TakeOverLink& link, bool keeps_history) : link_(link), keeps_history_(keeps_history) {}

    void tell(const std::string& database, const DatabaseEvent& event);
    // The other process does not read what it is told: more waits for it than may.
    bool is_overfull() const;

private:
    void begin(const std::string& database, const event::Begin& begin);

    TakeOverLink& link_;
    const bool keeps_history_;
};

} // namespace odoo_bus
