// What one database's notifications were dispatched as: batches, each with its span of positions.
#include "ledger/history.h"

#include <algorithm>

namespace odoo_bus {

namespace {

// A chosen id says nothing of those that the sequence gives out.
void settle(Id& settled, const Notification& notification) {
    if (!notification.ahead)
        settled = std::max(settled, notification.id);
}

} // namespace

BatchPtr History::append(std::vector<Row> rows) {
    auto batch = std::make_shared<Batch>();
    batch->reserve(rows.size());
    for (Row& row : rows) {
        if (row.element.empty())
            continue;
        batch->push_back({.id = row.id,
                          .position = head_ + batch->size() + 1,
                          .fingerprint = row.fingerprint,
                          .dispatched = row.dispatched,
                          .ahead = row.ahead,
                          .channel = std::move(row.channel),
                          .element = std::move(row.element),
                          .delay = row.delay});
    }
    if (batch->empty())
        return nullptr;
    append(batch);
    return batch;
}

void History::append(BatchPtr batch) {
    for (const Notification& notification : *batch)
        bytes_ += notification.bytes();
    head_ = batch->back().position;
    batches_.push_back(std::move(batch));
}

Position History::trim(Monotonic now) {
    const uint64_t most = std::min(bounds_.bytes, limit_);
    while (!batches_.empty() && (bytes_ > most || batches_.front()->back().dispatched < now - bounds_.age)) {
        for (const Notification& notification : *batches_.front()) {
            bytes_ -= notification.bytes();
            lost_.erase(notification.position);
            settle(settled_, notification);
        }
        batches_.pop_front();
    }
    return oldest();
}

void History::start(Position head, Id settled) {
    batches_.clear();
    lost_.clear();
    bytes_ = 0;
    head_ = head;
    settled_ = settled;
}

History::Newest History::newest(Monotonic time) const {
    Newest newest{.settled = settled_, .rows = {}};
    for (const BatchPtr& batch : batches_)
        for (const Notification& notification : *batch)
            if (notification.dispatched < time)
                settle(newest.settled, notification);
    for (const BatchPtr& batch : batches_)
        for (const Notification& notification : *batch)
            if (notification.id > newest.settled && !notification.channel.empty() &&
                !lost_.contains(notification.position))
                newest.rows[notification.id] = {notification.fingerprint, notification.position};
    return newest;
}

} // namespace odoo_bus
