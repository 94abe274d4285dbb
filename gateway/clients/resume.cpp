// The position from which a client resumes.
#include "clients/resume.h"

#include <algorithm>

namespace odoo_bus {

using namespace std::chrono_literals;

namespace {

// A client of 17.0 to 19.0 that has no `last` gets what is at most this old.
constexpr Duration FIRST_SIGHT = 50s;

// How far a client that comes from another gateway goes back, since two gateways can see concurrent
// transactions in different orders: everything that one of them saw before the other is younger than this.
constexpr Duration OVERLAP = 10s;

// What was dispatched here this long after a client had come was given to it here, even if this gateway was
// started anew since and does not know with which `last` it came.
constexpr Duration SETTLED = 60s;

} // namespace

ResumeDecision Resume::first(const Subscribe& subscribe, std::span<const std::string> channels,
                             Monotonic now) const {
    const FanOut& fan_out = feed_.fan_out;
    // First, since it notes the client: if no other process has taken over by now, that one learns of it.
    const bool given_here = is_given_here(subscribe.last);
    if (belongs_to_successor(false))
        return FromSuccessor{};
    const bool is_known_id = is_known(subscribe);
    if (!is_known_id && !subscribe.check_outdated) {
        // Another gateway may have been told of an id a moment before this one.
        const bool is_ahead = subscribe.last > feed_.newest && feed_.has_peers;
        return FromHistory{.position = fan_out.before(now - (is_ahead ? OVERLAP : FIRST_SIGHT))};
    }
    if (is_known_id && is_at(from_.position, subscribe.last))
        return FromHistory{.position = from_.position, .is_resume = true};
    if (const auto position = fan_out.position_of(subscribe.last); is_known_id && position)
        return FromHistory{.position = given_here ? *position : overlap(*position), .is_resume = true};
    if (belongs_to_successor(true))
        return FromSuccessor{};
    return from_table(subscribe, channels);
}

ResumeDecision Resume::later(const Subscribe& subscribe, std::span<const std::string> channels,
                             const Subscriber& subscriber) const {
    const FanOut& fan_out = feed_.fan_out;
    const Position delivered = subscriber.delivered();
    const auto position = fan_out.position_of(subscribe.last);
    std::vector<std::string> added;
    // Pages of 20.0 and later get from the table what the history does not reach back to.
    if (!position && subscribe.check_outdated)
        added = FanOut::new_to(subscriber, channels);
    if (added.empty()) {
        const Position since = std::min(position.value_or(delivered), delivered);
        // A quiet connection's position may be older than the history.
        return FromHistory{.position = std::max(since, fan_out.oldest() - 1)};
    }
    if (belongs_to_successor(true))
        return FromSuccessor{};
    FromTable decision = from_table(subscribe, added);
    decision.is_added = true;
    decision.history_from = subscriber.floor();
    return decision;
}

FromTable Resume::from_table(const Subscribe& subscribe, std::span<const std::string> channels) const {
    const bool is_known_id = is_known(subscribe);
    const bool is_id = subscribe.last_is_integer && subscribe.last <= feed_.newest;
    return {.last = is_known_id ? subscribe.last : 0,
            .is_reset = subscribe.check_outdated && !is_id,
            .is_checked = is_known_id && subscribe.check_outdated.value_or(false),
            .channels = {channels.begin(), channels.end()}};
}

FromHistory Resume::after_undispatched(Id last, Monotonic now) const {
    return {.position = before_both(last, now)};
}

// Whether `last` is the id of a notification, as far as its value tells.
bool Resume::is_known(const Subscribe& subscribe) const {
    return subscribe.last_is_integer && subscribe.last > 0 && subscribe.last <= feed_.newest;
}

// Whether it was this gateway that gave `last` to the client, in the order that it knows.
bool Resume::is_given_here(Id last) const {
    // A client that has moved proves that there is another gateway, also while this one does not see it.
    const bool is_here =
        from_.mover ? moved_clients_.has_gone_on(from_.mover, last) : from_.named || !feed_.has_peers;
    const auto position = feed_.fan_out.position_of(last);
    if (!position || *position <= feed_.adopted_until)
        return false;
    return is_here ||
           (from_.named && feed_.fan_out.at(*position).dispatched > monotonic_at(from_.moved_at()) + SETTLED);
}

bool Resume::is_at(Position position, Id id) const {
    const FanOut& fan_out = feed_.fan_out;
    return position >= fan_out.oldest() && position <= fan_out.head() && fan_out.at(position).id == id;
}

bool Resume::is_ambiguous(Position position) const {
    if (position < feed_.fan_out.oldest())
        return false;
    if (from_.mover)
        return true; // it may have come with that id
    const bool is_drawn_twice = feed_.fan_out.position_of(feed_.fan_out.at(position).id) != position;
    return is_drawn_twice || (feed_.has_peers && position <= feed_.adopted_until);
}

// For a client to which another gateway gave what is at `position` here.
Position Resume::overlap(Position position) const {
    const Notification& last = feed_.fan_out.at(position);
    return std::min(position, before_both(last.id, last.dispatched));
}

// For a client to which another gateway dispatched `last` last, seen here at `time`. What it may lack was
// dispatched here since shortly before that, or has a greater id: a gateway that could not read for long
// dispatches what it has missed in the order of ids.
Position Resume::before_both(Id last, Monotonic time) const {
    const FanOut& fan_out = feed_.fan_out;
    return std::min(fan_out.before(time - OVERLAP), fan_out.before_ids_above(last));
}

// Another process has taken over. What it does not know of this client would make the client's next `last`
// inexact there, and the table is not followed here any more.
bool Resume::belongs_to_successor(bool needs_table) const {
    return moved_clients_.is_handed_over() && (needs_table || from_.mover != 0);
}

} // namespace odoo_bus
