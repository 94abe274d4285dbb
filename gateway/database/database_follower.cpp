// Follows a database that another process reads: see database_follower.h.
#include "database/database_follower.h"

#include <algorithm>
#include <utility>

#include "base/file_clock.h"
#include "base/overloaded.h"

namespace odoo_bus {

bool DatabaseFollower::follow(const take_over::OfDatabase::What& message) {
    return std::visit(
        Overloaded{[this](const DatabaseEvent& event) { return on_event(event); },
                   [this](const take_over::Kept& kept) { return on_kept(kept.batch); },
                   [this](const take_over::Begun& begun) { return on_begun(begun); },
                   [this](const take_over::LeftOff& left_off) { return on_left_off(left_off); }},
        message);
}

bool DatabaseFollower::on_event(const DatabaseEvent& event) {
    if (const auto* const begin = std::get_if<event::Begin>(&event)) {
        there_ = std::max(there_, There::KNOWN);
        beginning_ = *begin;
        kept_.clear();
    } else if (const auto* const publish = std::get_if<event::Publish>(&event)) {
        return on_publish(*publish);
    } else if (const auto* const lost = std::get_if<event::Lost>(&event)) {
        state_.history.lose(lost->positions);
        tell_(event);
    } else if (std::holds_alternative<event::Peers>(event)) {
        tell_(event);
    }
    // The others concern the clients of the other process.
    return true;
}

bool DatabaseFollower::on_publish(const event::Publish& publish) {
    if (!publish.batch)
        return true;
    if (publish.batch->front().position != state_.history.head() + 1)
        return false;
    state_.history.append(publish.batch);
    tell_(event::Publish{publish.batch, state_.history.trim(MonotonicClock::now())});
    return true;
}

bool DatabaseFollower::on_kept(const BatchPtr& batch) {
    const Position head = kept_.empty() ? beginning_.head : kept_.back()->back().position;
    if (!batch || batch->front().position != head + 1)
        return false;
    kept_.push_back(batch);
    return true;
}

bool DatabaseFollower::on_begun(const take_over::Begun& begun) {
    there_ = begun.is_read ? There::READ : There::KNOWN;
    History& history = state_.history;
    history.start(beginning_.head, begun.settled);
    for (const BatchPtr& batch : kept_)
        history.append(batch);
    history.lose(begun.lost);
    state_.adopted_until = beginning_.adopted_until;
    tell_(event::Begin{.kept = std::exchange(kept_, {}),
                       .head = beginning_.head,
                       .newest = beginning_.newest,
                       .adopted_until = beginning_.adopted_until});
    if (!begun.lost.empty())
        tell_(event::Lost{begun.lost, beginning_.newest});
    return true;
}

bool DatabaseFollower::on_left_off(const take_over::LeftOff& left_off) {
    const Checkpoint& ledger = left_off.ledger;
    if (ledger.next != state_.history.head() + 1)
        return false;
    state_.cycle.start(ledger.max_seen, ledger.gaps, ledger.ahead);
    state_.read = file_clock::time_of(ledger.read);
    state_.history.settle_to(ledger.settled);
    state_.identity = ledger.identity;
    there_ = There::LEFT_OFF;
    return true;
}

} // namespace odoo_bus
