// The ledger of one database: see ledger.h for the rules.
#include "ledger/ledger.h"

#include <algorithm>
#include <charconv>
#include <functional>
#include <iterator>
#include <utility>

namespace odoo_bus {

namespace {

// Many sets of holders cost memory and time; two that are joined only die later than they could.
constexpr size_t MAX_GENERATIONS = 64;

} // namespace

Holder parse_holder(std::string_view virtualtransaction) {
    const char* const end = virtualtransaction.data() + virtualtransaction.size();
    int32_t backend;
    uint32_t local;
    auto [slash, error] = std::from_chars(virtualtransaction.data(), end, backend);
    if (error == std::errc{} && slash != end && *slash == '/') {
        auto [stop, error2] = std::from_chars(slash + 1, end, local);
        if (error2 == std::errc{} && stop == end)
            return uint64_t{static_cast<uint32_t>(backend)} << 32 | local;
    }
    return std::hash<std::string_view>{}(virtualtransaction);
}

void Ledger::start(Id max_seen, IdSet gaps) {
    max_seen_ = settled_ = max_seen;
    generations_.clear();
    if (!gaps.empty())
        generations_.push_back({.ids = std::move(gaps), .due_next = true});
}

bool Ledger::saw(std::span<const Id> ids) {
    const bool had_gaps = has_gaps();
    for (Generation& generation : generations_) {
        generation.due = std::exchange(generation.due_next, false);
        generation.orphaned = generation.noted && generation.holders.empty();
    }
    IdSet fresh;
    for (const Id id : ids) {
        fresh.add({max_seen_ + 1, id - 1});
        max_seen_ = id;
    }
    if (!fresh.empty())
        generations_.push_back({.ids = std::move(fresh)}); // which this snapshot does not show
    if (!had_gaps)
        settled_ = max_seen_;
    return !had_gaps;
}

uint64_t Ledger::gap_count() const {
    uint64_t gaps = 0;
    for (const Generation& generation : generations_)
        gaps += generation.ids.size();
    return gaps;
}

void Ledger::hold(std::vector<Holder> holders, Ripeness ripeness) {
    std::ranges::sort(holders);
    for (Generation& generation : generations_) {
        if (!generation.noted) {
            // What was found in this snapshot is not in it.
            generation.due |= generation.found.has_value();
            if (!generation.found)
                generation.found = ripeness.now;
            if (*generation.found > ripeness.ripe)
                continue;
            // The transaction that drew a gap may have ended after the snapshot and before this look-up.
            generation.holders = holders;
            generation.noted = generation.due_next = true;
            continue;
        }
        std::vector<Holder> left;
        std::ranges::set_intersection(generation.holders, holders, std::back_inserter(left));
        if (left.size() < generation.holders.size()) {
            // The holder may have ended before the snapshot, or after it.
            generation.holders = std::move(left);
            generation.due = generation.due_next = true;
        }
    }
    probe_from_ = 0;
}

std::vector<IdRange> Ledger::due(size_t limit) {
    for (Generation& generation : generations_) {
        if (!generation.due)
            continue;
        if (auto ranges = generation.ids.runs(probe_from_, limit); !ranges.empty())
            return ranges;
        generation.due = false;
        probe_from_ = 0;
    }
    merge_generations();
    settled_ = max_seen_;
    return {};
}

void Ledger::probed(std::span<const IdRange> ranges, std::span<const Id> found) {
    for (Generation& generation : generations_) {
        if (!generation.due)
            continue;
        const uint64_t before = generation.ids.size();
        for (const Id id : found)
            generation.ids.remove(id);
        const uint64_t undecided = generation.ids.size();
        filled_ += before - undecided;
        if (generation.orphaned)
            for (const IdRange& range : ranges)
                generation.ids.remove(range);
        died_ += undecided - generation.ids.size();
        break; // the first due generation is the one that due() asked about
    }
    probe_from_ = ranges.back().last + 1;
}

bool Ledger::is_due() const {
    return std::ranges::any_of(generations_, &Generation::due_next);
}

void Ledger::merge_generations() {
    std::erase_if(generations_, [](const Generation& generation) { return generation.ids.empty(); });
    for (size_t i = generations_.size(); i-- > 1;) {
        Generation &older = generations_[i - 1], &newer = generations_[i];
        const bool equal = older.noted == newer.noted && (older.noted || older.found == newer.found) &&
                           older.holders == newer.holders && older.due_next == newer.due_next;
        if (equal || (generations_.size() > MAX_GENERATIONS && older.noted && newer.noted)) {
            older.ids.merge(newer.ids);
            older.holders = std::move(newer.holders);
            older.due_next |= newer.due_next;
            generations_.erase(generations_.begin() + static_cast<std::ptrdiff_t>(i));
        }
    }
}

void Ledger::lower(Id max_seen) {
    IdSet left = gaps();
    left.remove({max_seen + 1, INT64_MAX - 1});
    start(std::min(max_seen, max_seen_), std::move(left));
}

bool Ledger::is_gap(Id id) const {
    return std::ranges::any_of(generations_, [id](const Generation& g) { return g.ids.contains(id); });
}

IdSet Ledger::gaps() const {
    IdSet all;
    for (const Generation& generation : generations_)
        all.merge(generation.ids);
    return all;
}

Ledger::Stats Ledger::stats() const {
    Stats stats{.gaps = 0, .generations = generations_.size(), .bytes = 0, .died = died_, .filled = filled_};
    for (const Generation& generation : generations_) {
        stats.gaps += generation.ids.size();
        stats.bytes += generation.ids.bytes() + generation.holders.size() * sizeof(Holder);
    }
    return stats;
}

} // namespace odoo_bus
