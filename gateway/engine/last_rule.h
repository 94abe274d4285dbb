// Where a client goes on that comes from another gateway with a `last`: exactly after it, or with an overlap,
// since the order of the two may differ around it.
//
// It is exact when both have given out `last`, and what came before it, in the common order: then it stands
// outside of both deviations, and the other gateway's chain has the entry that published it. The other one's
// record says so when it has got there. Before, it is trusted only within the epoch that it named last (there
// is one chain in an epoch), while it could not have begun an order of its own (GONE < LEASE), and when the
// stream had the entry after the client had come: Redis may have lost it, and the other gateway gone on in a
// new epoch.
//
// What the rest of the gateway has to keep for it:
//
// * The gateway that a client comes from is the one that gave it `last`: a client that has moved and was
//   given nothing since then still comes from there.
// * Rows of the table are sent only as far as the common order has published them; what came from there is
//   not exact (EdgeRecord::oldest).
#pragma once

#include <optional>

#include "base/clock.h"
#include "engine/edge.h"
#include "engine/edge_record.h"

namespace odoo_bus {

enum class LastDecision {
    EXACT,   // after `last`
    OVERLAP, // as without a common order; what the history does not have comes from the table
    WAIT,    // for entries, or for the other gateway's record
};

struct LastQuestion {
    // The entry that published `last` here; none: it is not among those that are kept.
    std::optional<EntryId> published = {};
    // The head of the stream, asked when the client had come; none: the answer is to come.
    std::optional<EntryId> head = {};
    // The gateway that the client comes from; null: it has no record.
    const EdgeRecord* former = nullptr;
    bool is_former_fresh = false; // EdgeTable::is_fresh()
    bool is_former_gone = true;   // EdgeTable::is_gone()
    Duration waited = {};         // since the client had come
};

LastDecision judge_last(const Edge& edge, const LastQuestion& question);

} // namespace odoo_bus
