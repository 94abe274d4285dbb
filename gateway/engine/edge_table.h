// The records of the other gateways, and how old each is by this gateway's clock.
//
// A record may be late: Redis, or the network, was stopped while it was on its way. So its age is not only
// the time since it was seen: it is compared with the ones before, as the sender's clock has dated them. The
// least difference between both clocks that was seen stands for a record that was not late. A gateway has one
// record on its way at a time, so that of two records in turn at most one is late.
#pragma once

#include <map>
#include <string>

#include "engine/edge_record.h"

namespace odoo_bus {

class EdgeTable {
public:
    using Records = std::map<std::string, EdgeRecord>;

    // As they stand in Redis.
    void see(const Records& records, Monotonic now);
    // Another gateway forgets its record after its death.
    void forget(const std::string& name) { edges_.erase(name); }

    // Null: no such gateway.
    const EdgeRecord* find(const std::string& name) const;
    // It has not changed its record for so long that nothing can be expected of it.
    bool is_gone(const std::string& name, Monotonic now) const;
    // When it sent its record, so short a time ago that it cannot be LOCAL without having said so.
    bool is_fresh(const std::string& name, Monotonic now) const;

    // Among those that are not gone, `but` apart: how far any has applied, or any that can lead; whether one
    // needs a ledger, and whether one is to lead.
    struct Newest {
        EntryId applied = NO_ENTRY;
        EntryId can_lead = NO_ENTRY;
    };
    Newest newest(const std::string& but, Monotonic now) const;
    bool wants_ledger(Monotonic now) const;
    bool is_any_to_lead(Monotonic now) const;

private:
    struct Seen {
        EdgeRecord record;
        Monotonic changed; // or seen for the first time
        Duration offset;   // from its clock to this one
        int changes = 0;
    };

    const Seen* find_seen(const std::string& name) const;

    std::map<std::string, Seen> edges_;
};

} // namespace odoo_bus
