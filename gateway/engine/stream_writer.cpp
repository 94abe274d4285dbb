// Appends and refills.
#include "engine/stream_writer.h"

#include <algorithm>
#include <utility>

namespace odoo_bus {

void StreamWriter::reset() {
    head_.reset();
    short_since_.reset();
    is_busy_ = false;
}

void StreamWriter::head_is(EntryId head) {
    head_ = head;
    is_busy_ = false;
}

void StreamWriter::compare(const Edge& edge, Monotonic now) {
    if (!head_ || *head_ >= edge.applied())
        short_since_.reset();
    else if (!short_since_)
        short_since_ = now;
}

void StreamWriter::ask_head(Commands& commands) {
    if (!std::exchange(is_busy_, true))
        commands.push_back(command::ReadHead{});
}

void StreamWriter::write(const Edge& edge, const std::deque<EntryPtr>& unsent, Right right,
                         Commands& commands) {
    if (!head_ || is_busy_)
        return;
    const EntryId known = edge.can_refill() ? edge.applied() : NO_ENTRY;
    if (*head_ >= (unsent.empty() ? known : std::max(known, unsent.back()->id)))
        return;
    if (EntryPtr next = next_entry(edge, unsent))
        commands.push_back(command::Append{std::move(next)});
    else if (right == Right::REPLACE || *head_ == NO_ENTRY)
        commands.push_back(command::Restore{.seen = *head_, .entries = whole_chain(edge, unsent)});
    else
        return;
    is_busy_ = true;
}

// After the head; null: the head is not in this chain.
EntryPtr StreamWriter::next_entry(const Edge& edge, const std::deque<EntryPtr>& unsent) const {
    if (edge.can_refill() && *head_ == NO_ENTRY)
        return nullptr; // all was lost: a part of it would look like a whole stream
    if (edge.can_refill() && edge.log().knows(*head_))
        if (EntryPtr next = edge.log().after(*head_))
            return next;
    const auto next = std::ranges::find(unsent, *head_, [](const EntryPtr& each) { return each->previous; });
    return next == unsent.end() ? nullptr : *next;
}

std::vector<EntryPtr> StreamWriter::whole_chain(const Edge& edge, const std::deque<EntryPtr>& unsent) {
    std::vector<EntryPtr> chain = edge.can_refill() ? edge.log().all() : std::vector<EntryPtr>();
    for (const EntryPtr& each : unsent)
        if (chain.empty() || each->id > chain.back()->id)
            chain.push_back(each);
    return chain;
}

} // namespace odoo_bus
