// Where a client from another gateway goes on.
#include "engine/last_rule.h"

#include "engine/timing.h"

namespace odoo_bus {

namespace {

// Whether the chain that the former gateway has applied has the entry, which is in this one's.
std::optional<bool> has_applied(const Edge& edge, const EdgeRecord& former, EntryId entry) {
    if (entry > former.applied)
        return std::nullopt; // not yet
    if (entry.epoch == former.applied.epoch || edge.log().knows(former.applied))
        return true;
    if (former.applied > edge.applied())
        return std::nullopt; // this one does not know yet whether that is its own chain
    return false;
}

} // namespace

LastDecision judge_last(const Edge& edge, const LastQuestion& question) {
    const bool may_wait = edge.state() != Edge::State::LOCAL && question.waited < timing::CONFIRM;
    const LastDecision unsure = may_wait ? LastDecision::WAIT : LastDecision::OVERLAP;
    if (!question.published)
        return !question.head || edge.applied() < *question.head ? unsure : LastDecision::OVERLAP;
    const EntryId entry = *question.published;
    if (!question.former || entry <= question.former->oldest || edge.deviation().has(entry) ||
        question.former->deviation.has(entry))
        return LastDecision::OVERLAP;
    if (const auto has = has_applied(edge, *question.former, entry))
        return *has ? LastDecision::EXACT : LastDecision::OVERLAP;
    const bool is_in_stream = question.head && entry <= *question.head && edge.log().knows(*question.head);
    if (is_in_stream && question.is_former_fresh && !question.former->deviation.is_open &&
        entry.epoch == question.former->applied.epoch)
        return LastDecision::EXACT;
    return question.is_former_gone ? LastDecision::OVERLAP : unsure;
}

} // namespace odoo_bus
