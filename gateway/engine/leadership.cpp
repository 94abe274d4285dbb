// Who leads.
#include "engine/leadership.h"

#include <algorithm>
#include <utility>

#include "base/fingerprint.h"
#include "engine/timing.h"

namespace odoo_bus {

void Leadership::wait_for_lock(Commands& commands) {
    phase_ = Phase::WAITING;
    commands.push_back(command::WaitForLock{});
}

void Leadership::locked(Monotonic now) {
    if (phase_ != Phase::WAITING)
        return;
    phase_ = Phase::CHECKING;
    checking_since_ = now;
}

void Leadership::check(const View& view, Commands& commands) {
    if (phase_ != Phase::CHECKING || view.writer.is_busy())
        return;
    switch (judge(view)) {
    case Answer::WAIT:
        return;
    case Answer::YIELD:
        phase_ = Phase::NONE;
        commands.push_back(command::Unlock{});
        return;
    case Answer::LEAD:
        break;
    }
    const EntryId applied = view.edge.applied();
    const uint64_t top = std::max({applied, *view.writer.head(), newest_}).epoch;
    newest_ = {.epoch = next_epoch(top, view.unix_ms, fingerprint(settings_.name)), .seq = applied.seq + 1};
    made_ = view.now;
    keep({newest_, applied, {}, 0, entry::Barrier{.leader = settings_.name}});
    phase_ = Phase::BARRIER;
}

Leadership::Answer Leadership::judge(const View& view) const {
    if (!view.writer.head() || view.edge.state() == Edge::State::LOCAL)
        return Answer::WAIT;
    const EntryId head = *view.writer.head(), applied = view.edge.applied();
    const bool is_patient = view.now - checking_since_ < timing::PATIENCE;
    if (head > applied)
        return Answer::WAIT; // the edge reads on
    // They refill what Redis has lost, where they have it; those that only know of it are to lead.
    const bool is_new = view.edge.databases().empty();
    if (view.others.can_lead > applied && (is_new || !is_patient))
        return Answer::YIELD;
    if (view.others.applied > applied && is_patient)
        return Answer::WAIT;
    if (view.now - view.connected_since < timing::SETTLE)
        return Answer::WAIT;
    if (is_new)
        return is_patient ? Answer::WAIT : Answer::LEAD;
    // What Redis has lost is refilled first, unless it is only a state file that knows of it.
    if (head < applied && (view.edge.can_refill() || is_patient))
        return Answer::WAIT;
    if (view.edge.has_ledgers())
        return Answer::LEAD;
    if (is_patient)
        return Answer::WAIT;
    // Where nobody knows them, a database is begun anew.
    return view.others.can_lead == NO_ENTRY ? Answer::LEAD : Answer::YIELD;
}

void Leadership::lose_redis() {
    if (phase_ == Phase::BARRIER)
        check_again();
}

std::vector<EntryPtr> Leadership::acknowledge(EntryId head) {
    const auto newest = std::ranges::find(unsent_, head, [](const EntryPtr& each) { return each->id; });
    if (phase_ == Phase::BARRIER) {
        if (newest == unsent_.end() && head != unsent_.front()->previous)
            check_again(); // another entry was quicker
        return {};
    }
    std::vector<EntryPtr> there;
    for (size_t left = newest == unsent_.end() ? 0 : newest - unsent_.begin() + 1; left > 0; --left) {
        unsent_bytes_ -= unsent_.front()->bytes();
        there.push_back(std::move(unsent_.front()));
        unsent_.pop_front();
    }
    return there;
}

void Leadership::applied(const Entry& entry, Commands& commands) {
    if (phase_ != Phase::BARRIER)
        return;
    if (!is_own_barrier(entry))
        return check_again();
    clear_unsent();
    phase_ = Phase::LEADING;
    commands.push_back(command::Lead{});
}

bool Leadership::is_own_barrier(const Entry& entry) const {
    const auto* const barrier = std::get_if<entry::Barrier>(&entry.event);
    return entry.id == newest_ && barrier && barrier->leader == settings_.name;
}

void Leadership::check_again() {
    clear_unsent();
    phase_ = Phase::CHECKING;
}

EntryPtr Leadership::make(std::string database, EntryEvent event, Monotonic now) {
    const EntryId previous = newest_;
    ++newest_.seq;
    made_ = now;
    Entry entry{newest_, previous, std::move(database), 0, std::move(event)};
    if (entry.batch())
        entry.first = entry.batch()->front().position;
    return keep(std::move(entry));
}

EntryPtr Leadership::keep(Entry entry) {
    unsent_bytes_ += entry.bytes();
    return unsent_.emplace_back(std::make_shared<const Entry>(std::move(entry)));
}

bool Leadership::is_silent(Monotonic now) const {
    return now - made_ >= timing::HEARTBEAT;
}

void Leadership::resign(Commands& commands) {
    clear_unsent();
    if (phase_ == Phase::LEADING)
        commands.push_back(command::StopLeading{});
    phase_ = Phase::NONE;
}

void Leadership::clear_unsent() {
    unsent_.clear();
    unsent_bytes_ = 0;
}

} // namespace odoo_bus
