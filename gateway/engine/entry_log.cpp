// The newest entries that were applied.
#include "engine/entry_log.h"

#include <algorithm>
#include <utility>

namespace odoo_bus {

void EntryLog::start(EntryId after) {
    entries_.clear();
    published_.clear();
    bytes_ = 0;
    before_ = after;
}

void EntryLog::append(EntryPtr entry, Monotonic now) {
    bytes_ += entry->bytes();
    if (entry->batch())
        for (const Notification& notification : *entry->batch())
            published_[entry->database][notification.id] = entry->id;
    entries_.push_back({std::move(entry), now});
}

void EntryLog::trim(Monotonic now) {
    while (!entries_.empty() && (bytes_ > bounds_.bytes || entries_.front().at < now - bounds_.age)) {
        before_ = entries_.front().entry->id;
        forget(*entries_.front().entry);
        entries_.pop_front();
    }
}

std::vector<EntryPtr> EntryLog::cut_after(EntryId id) {
    const auto from = place_after(id);
    std::vector<EntryPtr> cut;
    for (auto each = from; each != entries_.end(); ++each)
        cut.push_back(each->entry);
    entries_.erase(from, entries_.end());
    for (const EntryPtr& entry : cut)
        forget(*entry);
    return cut;
}

void EntryLog::forget(const Entry& entry) {
    bytes_ -= entry.bytes();
    const auto of_database = published_.find(entry.database);
    if (!entry.batch() || of_database == published_.end())
        return;
    for (const Notification& notification : *entry.batch()) {
        const auto place = of_database->second.find(notification.id);
        if (place != of_database->second.end() && place->second == entry.id)
            of_database->second.erase(place);
    }
    if (of_database->second.empty())
        published_.erase(of_database);
}

EntryLog::Place EntryLog::place_after(EntryId id) const {
    return std::ranges::upper_bound(entries_, id, {}, [](const Kept& kept) { return kept.entry->id; });
}

bool EntryLog::knows(EntryId id) const {
    const auto next = place_after(id);
    return next == entries_.end() ? id == newest() : next->entry->previous == id;
}

EntryPtr EntryLog::after(EntryId id) const {
    const auto next = place_after(id);
    return next == entries_.end() ? nullptr : next->entry;
}

std::vector<EntryPtr> EntryLog::all() const {
    std::vector<EntryPtr> entries;
    for (const Kept& kept : entries_)
        entries.push_back(kept.entry);
    return entries;
}

std::optional<EntryId> EntryLog::published_in(const std::string& database, Id id) const {
    const auto of_database = published_.find(database);
    if (of_database == published_.end())
        return std::nullopt;
    const auto place = of_database->second.find(id);
    return place == of_database->second.end() ? std::nullopt : std::optional(place->second);
}

} // namespace odoo_bus
