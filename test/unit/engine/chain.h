// Entries for tests: a chain of them, each after the one before.
#pragma once

#include <initializer_list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/entry.h"

namespace odoo_bus {

inline const std::string CHAIN_DATABASE = "db";

inline Notification chain_notification(Id id, Position position = 1) {
    return {.id = id,
            .position = position,
            .fingerprint = static_cast<uint64_t>(id) + 1000,
            .dispatched = {},
            .ahead = false,
            .channel = "[\"db\",\"c\"]",
            .element = "{\"id\":1}"};
}

inline BatchPtr chain_batch(std::initializer_list<Id> ids) {
    auto batch = std::make_shared<Batch>();
    for (const Id id : ids)
        batch->push_back(chain_notification(id, 1 + batch->size()));
    return batch;
}

class Chain {
public:
    explicit Chain(EntryId newest = NO_ENTRY) : newest_(newest) {}

    EntryPtr publish(std::initializer_list<Id> ids) {
        return add(DatabaseEvent(event::Publish{chain_batch(ids), 0}));
    }
    EntryPtr whole(Id max_seen, std::initializer_list<Id> gaps = {}) {
        Checkpoint ledger{.max_seen = max_seen};
        for (const Id id : gaps)
            ledger.gaps.add(id);
        return add(whole_ledger(ledger));
    }
    EntryPtr begin() { return add(DatabaseEvent(event::Begin{})); }
    EntryPtr heartbeat() { return add(entry::Heartbeat{}); }
    // Another leader goes on from here.
    EntryPtr barrier(uint64_t epoch) {
        newest_.epoch = epoch;
        return add(entry::Barrier{"another"}, EntryId{previous_epoch_, newest_.seq});
    }
    EntryId newest() const { return newest_; }

private:
    EntryPtr add(EntryEvent event) { return add(std::move(event), newest_); }
    EntryPtr add(EntryEvent event, EntryId previous) {
        const bool is_of_database =
            std::holds_alternative<DatabaseEvent>(event) || std::holds_alternative<LedgerChange>(event);
        ++newest_.seq;
        previous_epoch_ = newest_.epoch;
        Entry entry{newest_, previous, is_of_database ? CHAIN_DATABASE : "", 0, std::move(event)};
        if (entry.batch())
            entry.first = entry.batch()->front().position;
        return std::make_shared<const Entry>(std::move(entry));
    }

    EntryId newest_;
    uint64_t previous_epoch_ = newest_.epoch;
};

inline std::vector<Id> ids_of(const BatchPtr& batch) {
    std::vector<Id> ids;
    if (batch)
        for (const Notification& notification : *batch)
            ids.push_back(notification.id);
    return ids;
}

} // namespace odoo_bus
