// What a process tells the one that follows it.
#include "take_over/successor_feed.h"

#include <variant>

namespace odoo_bus {

namespace {

constexpr size_t MAX_WAITING = 64 << 20;

} // namespace

void SuccessorFeed::tell(const std::string& database, const DatabaseEvent& event) {
    if (const auto* const begin = std::get_if<event::Begin>(&event))
        this->begin(database, *begin);
    else
        link_.send(take_over::OfDatabase{database, event});
}

// The history goes batch by batch (take_over::Kept).
void SuccessorFeed::begin(const std::string& database, const event::Begin& begin) {
    event::Begin first = begin;
    first.kept.clear();
    if (!keeps_history_) {
        if (!begin.kept.empty())
            first.head = begin.kept.back()->back().position;
        return link_.send(take_over::OfDatabase{database, first});
    }
    link_.send(take_over::OfDatabase{database, first});
    for (const BatchPtr& batch : begin.kept)
        link_.send(take_over::OfDatabase{database, take_over::Kept{batch}});
    link_.send(take_over::OfDatabase{database, take_over::Begun{.is_read = true}});
}

bool SuccessorFeed::is_overfull() const {
    return link_.waiting() > MAX_WAITING;
}

} // namespace odoo_bus
