// The position from which a client resumes: decided from what this gateway knows of the database and from
// what the client names, without input or output. CatchUp and Session carry the decision out.
#pragma once

#include <span>
#include <string>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "clients/database_feed.h"
#include "clients/moved_clients.h"
#include "http/gateway_cookie.h"
#include "protocol/client_event.h"

namespace odoo_bus {

// Its channels start after this position of the history.
struct FromHistory {
    Position position;
    bool is_resume = false; // the client's `last` was found there
};

// The history does not reach back to `last`: rows of the table come first.
struct FromTable {
    Id last = 0;             // rows with a greater id; 0: all that are kept
    bool is_reset = false;   // the client is to be told that its `last` is no id of this database
    bool is_checked = false; // and that it is outdated, if the row `last` is gone
    // All that are granted, or those that a later subscribe adds.
    std::vector<std::string> channels;
    bool is_added = false;
    // Rows that stand in the history up to this position come from the table nevertheless: a channel that is
    // added does not start before it.
    Position history_from = 0;
};

// The process that has taken over has to decide: the client is to connect again.
struct FromSuccessor {};

using ResumeDecision = std::variant<FromHistory, FromTable, FromSuccessor>;

class Resume {
public:
    // All of them outlive it.
    Resume(const DatabaseFeed& feed, MovedClients& moved_clients, const Provenance& provenance)
        : feed_(feed), moved_clients_(moved_clients), from_(provenance) {}

    // The first subscribe of a connection: everything after `last`.
    ResumeDecision first(const Subscribe& subscribe, std::span<const std::string> channels,
                         Monotonic now) const;
    // A later one: channels that it adds start with what is new, and with what `last` asks for.
    ResumeDecision later(const Subscribe& subscribe, std::span<const std::string> channels,
                         const Subscriber& subscriber) const;
    // The row `last` exists and is still to be dispatched here: another gateway was quicker.
    FromHistory after_undispatched(Id last, Monotonic now) const;

    // True when a client that comes back with the id at this position alone could be sent again what it has.
    bool is_ambiguous(Position position) const;

private:
    bool is_known(const Subscribe& subscribe) const;
    bool is_given_here(Id last) const;
    bool is_at(Position position, Id id) const;
    bool belongs_to_successor(bool needs_table) const;
    FromTable from_table(const Subscribe& subscribe, std::span<const std::string> channels) const;
    Position overlap(Position position) const;
    Position before_both(Id last, Monotonic time) const;

    const DatabaseFeed& feed_;
    MovedClients& moved_clients_;
    const Provenance& from_;
};

} // namespace odoo_bus
