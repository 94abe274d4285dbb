// A gateway as it follows the common order.
#include "engine/edge.h"

#include <algorithm>
#include <utility>
#include <variant>

namespace odoo_bus {

void Edge::start(Saved saved, Monotonic now) {
    applied_ = saved.applied;
    deviation_ = saved.deviation;
    deviated_ = now;
    databases_ = std::move(saved.databases);
    log_.start(applied_);
    if (deviation_.is_open)
        state_ = State::MERGING;
}

Edge::Outcome Edge::apply(const EntryPtr& entry, Monotonic now, bool is_own) {
    if (entry->id <= applied_) {
        learn(entry, now);
        return {.verdict = Verdict::KNOWN};
    }
    if (!fits(*entry, now, is_own)) {
        hole_ = entry->id;
        go_local(now);
        return {.verdict = Verdict::HOLE};
    }
    applied_ = entry->id;
    log_.append(entry, now);
    Outcome outcome{.verdict = Verdict::APPLIED, .given = happen(*entry)};
    settle(now);
    return outcome;
}

// Whether the entry is the next one of the chain, which may have been cut for it.
bool Edge::fits(const Entry& entry, Monotonic now, bool is_own) {
    const bool is_whole = log_.newest() == applied_;
    const bool is_next = entry.previous == applied_ || (applied_ == NO_ENTRY && databases_.empty());
    if (!is_next && is_whole && log_.knows(entry.previous)) {
        fork_at(entry.previous, now);
        return true;
    }
    const bool is_hole = !is_next || (begins_anew(entry) && !is_own);
    if (is_hole && hole_ != entry.id)
        return false;
    if (!is_next)
        for (auto& [name, database] : databases_)
            database.lose_track();
    hole_.reset();
    if (!is_whole || entry.previous != applied_)
        log_.start(entry.previous);
    return true;
}

// Of a database that is given out here: its leader goes on after what it has given out itself.
bool Edge::begins_anew(const Entry& entry) const {
    const auto* const begin = entry.get_if<event::Begin>();
    return begin && !begin->missed && databases_.contains(entry.database);
}

// A process that was started anew reads what an earlier one has applied, so that it can append it again.
void Edge::learn(const EntryPtr& entry, Monotonic now) {
    if (!log_.empty() && log_.newest() >= entry->id)
        return;
    if (entry->previous != log_.newest())
        log_.start(entry->previous);
    log_.append(entry, now);
}

BatchPtr Edge::happen(const Entry& entry) {
    if (const auto* const change = std::get_if<LedgerChange>(&entry.event))
        databases_[entry.database].change(*change);
    else if (const auto* const begin = entry.get_if<event::Begin>())
        databases_[entry.database].begin(begin->missed);
    else if (entry.get_if<event::Forget>())
        databases_.erase(entry.database);
    else if (entry.batch())
        return databases_[entry.database].publish(entry.batch());
    return nullptr;
}

void Edge::fork_at(EntryId id, Monotonic now) {
    const std::vector<EntryPtr> cut = log_.cut_after(id);
    deviate(id, now);
    applied_ = id;
    for (const EntryPtr& entry : cut)
        if (entry->batch())
            databases_[entry->database].take_back(*entry->batch());
    for (const EntryPtr& entry : cut)
        if (entry->get_if<event::Begin>())
            databases_[entry->database].lose_track(); // that table was adopted for the other chain
    state_ = State::MERGING;
}

void Edge::go_local(Monotonic now) {
    deviate(applied_, now);
    is_table_read_ = false;
    state_ = State::LOCAL;
}

void Edge::give(const std::string& database, const Batch& batch) {
    databases_[database].give(batch);
}

bool Edge::merge() {
    if (hole_ && !is_table_read_)
        return false;
    state_ = State::MERGING;
    return true;
}

// A deviation that clients may still come from is part of the next one: others know one range.
void Edge::deviate(EntryId from, Monotonic now) {
    const bool is_forgotten =
        deviation_ == Deviation() || (!deviation_.is_open && deviated_ < now - bounds_.age);
    deviation_ = {
        .from = is_forgotten ? from : std::min(deviation_.from, from), .until = {}, .is_open = true};
}

void Edge::settle(Monotonic now) {
    if (state_ != State::MERGING)
        return;
    if (!std::ranges::all_of(databases_, [](const auto& each) { return each.second.is_merged(); }))
        return;
    state_ = State::COMMON;
    deviation_.until = applied_;
    deviation_.is_open = false;
    deviated_ = now;
}

bool Edge::wants_ledger() const {
    return std::ranges::any_of(databases_, [](const auto& each) { return each.second.wants_ledger(); });
}

bool Edge::has_ledgers() const {
    return std::ranges::all_of(databases_, [](const auto& each) { return each.second.ledger().has_value(); });
}

} // namespace odoo_bus
