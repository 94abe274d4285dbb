// One database on an edge.
#include "engine/followed_database.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

namespace odoo_bus {

namespace {

std::vector<Dispatched> dispatched(const Batch& batch) {
    std::vector<Dispatched> entries;
    for (const Notification& notification : batch)
        entries.push_back({notification.id, notification.fingerprint, {}, notification.ahead});
    return entries;
}

} // namespace

FollowedDatabase::FollowedDatabase(Checkpoint ledger, const Batch& ahead) : ledger_(std::move(ledger)) {
    give(ahead);
}

void FollowedDatabase::begin(bool is_another) {
    lose_track();
    if (!is_another)
        return;
    given_.reset();
    ahead_.clear();
}

BatchPtr FollowedDatabase::publish(const BatchPtr& batch) {
    if (ledger_)
        ledger_->advance(dispatched(*batch));
    if (is_merged())
        return batch;
    auto left = std::make_shared<Batch>();
    for (const Notification& notification : *batch)
        if (!was_given(notification))
            left->push_back(notification);
    if (given_)
        given_->advance(dispatched(*left));
    return left->empty() ? nullptr : left;
}

// Another fingerprint: the server lost the row, and its id was drawn again.
bool FollowedDatabase::was_given(const Notification& notification) {
    if (const auto given = ahead_.find(notification.id); given != ahead_.end()) {
        const uint64_t fingerprint = given->second.fingerprint;
        ahead_.erase(given);
        return fingerprint == 0 || fingerprint == notification.fingerprint;
    }
    return given_ && has_decided(*given_, notification.id);
}

void FollowedDatabase::change(const LedgerChange& change) {
    if (change.is_whole)
        compare_with(change.now);
    else if (!ledger_)
        return; // a whole one is to come
    if (!ledger_)
        ledger_.emplace();
    apply(change, *ledger_);
    // It has died, or was passed: it will not be shown.
    std::erase_if(ahead_, [this](const auto& given) { return has_decided(*ledger_, given.first); });
}

// What the common order has decided will not be shown any more. What it has not, and was given out here, will
// be. Where that is too much, a later one is compared.
void FollowedDatabase::compare_with(const Checkpoint& whole) {
    if (!given_)
        return;
    IdSet open = whole.gaps;
    if (given_->max_seen > whole.max_seen)
        open.add({whole.max_seen + 1, given_->max_seen});
    open.merge(given_->ahead);
    open.remove_all(given_->gaps);
    if (open.size() > MAX_AHEAD)
        return;
    for (const IdRange& run : open.runs(0, MAX_AHEAD))
        for (Id id = run.first; id <= run.last; ++id)
            if (has_decided(*given_, id))
                ahead_.try_emplace(id, GivenOut{.fingerprint = 0, .ahead = id > given_->max_seen});
    given_.reset();
}

void FollowedDatabase::take_back(const Batch& batch) {
    for (const Notification& notification : batch) {
        add_ahead(notification);
        if (!ledger_)
            continue;
        ledger_->ahead.remove(notification.id);
        if (notification.id <= ledger_->max_seen)
            ledger_->gaps.add(notification.id);
    }
}

void FollowedDatabase::lose_track() {
    if (!given_)
        given_ = ledger_;
    ledger_.reset();
}

void FollowedDatabase::adopt(Checkpoint ledger) {
    if (!ledger_ && !given_)
        given_ = std::move(ledger);
}

void FollowedDatabase::give(const Batch& batch) {
    for (const Notification& notification : batch)
        add_ahead(notification);
    if (ahead_.size() <= MAX_AHEAD || !(given_ = given()))
        return;
    ahead_.clear();
}

void FollowedDatabase::add_ahead(const Notification& notification) {
    ahead_[notification.id] = {.fingerprint = notification.fingerprint, .ahead = notification.ahead};
}

std::optional<Checkpoint> FollowedDatabase::given() const {
    std::optional<Checkpoint> given = given_ ? given_ : ledger_;
    if (!given)
        return std::nullopt;
    std::vector<Dispatched> entries;
    for (const auto& [id, given_out] : ahead_)
        entries.push_back({id, given_out.fingerprint, {}, given_out.ahead});
    std::ranges::sort(entries, {}, &Dispatched::id);
    given->advance(entries);
    return given;
}

} // namespace odoo_bus
