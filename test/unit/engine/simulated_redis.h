// A Redis with the stream, its head and the records: what the scripts do, one command at a time.
#pragma once

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/append_rule.h"
#include "engine/command.h"
#include "engine/edge_table.h"

namespace odoo_bus {

class SimulatedRedis {
public:
    EntryId head() const { return head_; }
    const EdgeTable::Records& records() const { return records_; }
    const std::deque<EntryPtr>& stream() const { return stream_; }

    EntryId append(const EntryPtr& entry) {
        if (!may_append(head_, entry->previous, entry->id))
            return head_;
        if (!stream_.empty() && stream_.back()->id != entry->previous)
            complain("an entry was appended after another one than it names");
        add(entry);
        return head_;
    }
    EntryId restore(const command::Restore& restore) {
        if (!may_restore(head_, restore.seen, restore.entries.back()->id))
            return head_;
        if (head_ != restore.seen)
            complain("a stream was replaced that was not the one that was seen");
        stream_.clear();
        for (const EntryPtr& entry : restore.entries)
            add(entry);
        return head_;
    }
    const EdgeTable::Records& exchange(const std::string& name, const command::ExchangeRecords& command) {
        if (command.own)
            records_[name] = *command.own;
        return records_;
    }
    std::vector<EntryPtr> read_after(EntryId id, size_t limit) const {
        auto next = std::ranges::upper_bound(stream_, id, {}, &Entry::id);
        std::vector<EntryPtr> entries;
        for (; next != stream_.end() && entries.size() < limit; ++next)
            entries.push_back(keeps_bytes ? copy(*next) : *next);
        return entries;
    }

    // --- what it loses ---

    void flush() {
        stream_.clear();
        records_.clear();
        head_ = NO_ENTRY;
    }
    void lose_tail(size_t count) {
        while (count-- > 0 && stream_.size() > 1)
            stream_.pop_back();
        head_ = stream_.empty() ? head_ : stream_.back()->id;
    }
    // Half of it at most, and never the newest whole ledger, which half a history always has.
    void trim() {
        size_t count = 0;
        for (size_t i = 0; i < stream_.size() / 2; ++i)
            if (const auto* const change = std::get_if<LedgerChange>(&stream_[i]->event))
                count = change->is_whole ? i : count;
        stream_.erase(stream_.begin(), stream_.begin() + static_cast<std::ptrdiff_t>(count));
    }

    bool is_up = true;
    bool is_stopped = false;
    bool keeps_bytes = false; // gateways get copies of entries, not the entries of others

    // What no gateway may ever do. Empty: nothing.
    const std::string& complaint() const { return complaint_; }

private:
    void add(const EntryPtr& entry) {
        stream_.push_back(entry);
        head_ = entry->id;
        const auto [place, is_new] = ever_.try_emplace(entry->id, entry);
        if (!is_new && place->second != entry && encode_entry(*place->second, {}) != encode_entry(*entry, {}))
            complain("two entries have one id");
        if (std::holds_alternative<entry::Barrier>(entry->event)) {
            const auto& leader = std::get<entry::Barrier>(entry->event).leader;
            if (leaders_.try_emplace(entry->id.epoch, leader).first->second != leader)
                complain("two leaders have one epoch");
        }
    }
    // As it is after it was bytes.
    EntryPtr copy(const EntryPtr& entry) const {
        auto decoded = decode_entry(entry->id, encode_entry(*entry, {}).value_or(""), {}, Monotonic());
        return decoded ? std::make_shared<const Entry>(std::move(*decoded)) : nullptr;
    }
    void complain(const char* what) { complaint_ = what; }

    std::deque<EntryPtr> stream_;
    EntryId head_ = NO_ENTRY;
    EdgeTable::Records records_;
    std::map<EntryId, EntryPtr> ever_;
    std::map<uint64_t, std::string> leaders_;
    std::string complaint_;
};

} // namespace odoo_bus
