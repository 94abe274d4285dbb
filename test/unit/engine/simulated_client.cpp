// A client of the simulation.
#include "simulated_client.h"

#include <algorithm>

namespace odoo_bus {

using namespace std::chrono_literals;

namespace {

// As clients/resume.cpp does it for gateways without a common order.
constexpr Duration OVERLAP = 10s;

} // namespace

void SimulatedClient::move_to(SimulatedNode& node) {
    node_ = &node;
    has_begun_ = false;
    head_.reset();
    came_ = world_->now;
}

void SimulatedClient::step(Random& random) {
    if (!node_ || !node_->is_running() || !node_->engine().is_ready())
        return;
    if (!has_begun_) {
        if (!head_ && node_->is_linked() && !world_->redis.is_stopped && random() % 2)
            head_ = world_->redis.head();
        return begin();
    }
    for (size_t count = random() % 4; count > 0 && next_ < node_->history().size(); --count)
        receive(node_->history()[next_++].id);
}

void SimulatedClient::begin() {
    const auto place = node_->place_after(last_);
    if (last_ == 0 && node_->is_complete())
        return begin_exactly(0);
    if (from_ == node_->name() && place)
        return begin_exactly(*place);
    if (last_ == 0)
        return begin_with_overlap();
    switch (node_->engine().judge_last(DATABASE, last_, from_, head_, world_->now - came_, world_->now)) {
    case LastDecision::WAIT:
        return;
    case LastDecision::OVERLAP:
        return begin_with_overlap();
    case LastDecision::EXACT:
        if (!place)
            return complain("it is to go on after " + std::to_string(last_) +
                            ", which was not given out there");
        ++counts.exact;
        return begin_exactly(*place);
    }
}

void SimulatedClient::begin_exactly(size_t place) {
    has_begun_ = true;
    next_ = place;
}

void SimulatedClient::begin_with_overlap() {
    const auto& history = node_->history();
    const auto place = node_->place_after(last_);
    const Monotonic since = (place ? history[*place - 1].at : world_->now) - OVERLAP;
    const auto in_time = std::ranges::lower_bound(history, since, {}, &SimulatedNode::Given::at);
    const auto above = std::ranges::find_if(history, [this](const auto& given) { return given.id > last_; });
    const auto begin = static_cast<size_t>(std::min(in_time, above) - history.begin());
    begin_exactly(std::min(begin, place.value_or(begin)));
    ++counts.overlaps;
    // What it has may come again, unless this gateway has passed it.
    excused_ = seen_;
    for (size_t i = 0; i < next_; ++i)
        if (has(history[i].id))
            excused_[static_cast<size_t>(history[i].id)] = false;
    // The history does not reach back: the table does.
    if (next_ > 0 || node_->is_complete())
        return;
    for (Id id = 1; id <= world_->table.newest(); ++id)
        if (world_->table.is_committed(id) && !node_->place_after(id) && node_->has_passed(id))
            receive(id);
}

void SimulatedClient::receive(Id id) {
    last_ = id;
    from_ = node_->name();
    const auto index = static_cast<size_t>(id);
    if (has(id)) {
        if (!excused_[index])
            complain(std::to_string(id) + " came twice");
        excused_[index] = false;
        ++counts.again;
        return;
    }
    seen_.resize(std::max(seen_.size(), index + 1));
    excused_.resize(seen_.size());
    seen_[index] = true;
    const auto& committed = world_->table.committed();
    while (in_order_ < committed.size() && has(committed[in_order_]))
        ++in_order_;
    if (in_order_ < world_->table.causes(id))
        complain(std::to_string(id) + " came before its cause " + std::to_string(committed[in_order_]));
}

std::string SimulatedClient::missing() const {
    return has_all() ? "" : std::to_string(world_->table.committed()[in_order_]);
}

} // namespace odoo_bus
