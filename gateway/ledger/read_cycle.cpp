// The order of statements and of what is dispatched: see read_cycle.h.
#include "ledger/read_cycle.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace odoo_bus {

namespace {

// While gaps are open their holders are looked up again after this time, doubled each time while nothing
// happens: a holder may have released its lock a moment ago, and does so after it has rung.
constexpr std::chrono::milliseconds FIRST_RECHECK(10);
constexpr std::chrono::milliseconds LAST_RECHECK(1000);

} // namespace

void ReadCycle::start(Id max_seen, IdSet gaps, IdSet chosen) {
    ledger_.start(max_seen, std::move(gaps));
    chosen_ = std::move(chosen);
    chosen_until_ = chosen_.empty() ? 0 : chosen_.max();
    reset();
}

void ReadCycle::abandon() {
    ledger_.abandon();
    reset();
}

void ReadCycle::reset() {
    incoming_.clear();
    passed_.clear();
    ranges_.clear();
    is_under_way_ = again_ = false;
    next_ = Statement::NONE;
}

bool ReadCycle::begin() {
    if (std::exchange(is_under_way_, true)) {
        again_ = true;
        return false;
    }
    again_ = was_read_ = false;
    next_ = ledger_.gap_count() >= limits_.many_gaps ? Statement::HOLDERS : Statement::READ;
    return true;
}

ReadCycle::Read ReadCycle::read() const {
    return {.max_seen = ledger_.max_seen(),
            .chosen = chosen_until_,
            .rows = limits_.read_rows,
            .keeps_snapshot = ledger_.has_gaps()};
}

std::vector<Row> ReadCycle::saw(std::vector<Row> rows, bool is_cut) {
    was_read_ = true;
    std::vector<Id> ids;
    size_t ahead = 0;
    for (Row& row : rows) {
        if (row.ahead) {
            ++ahead;
        } else {
            ids.push_back(row.id);
            if (chosen_.contains(row.id)) {
                passed_.push_back(row.id);
                continue;
            }
        }
        incoming_.push_back(std::move(row));
    }
    again_ |= is_cut || ahead == limits_.read_rows || ids.size() == limits_.read_rows;
    // When there is more that the sequence gave out, the causes of chosen ids may be there.
    if (ids.size() == limits_.read_rows)
        std::erase_if(incoming_, [](const Row& row) { return row.ahead; });
    const bool had_no_gaps = ledger_.saw(ids);
    next_ = ledger_.has_gaps() ? Statement::HOLDERS : Statement::NONE;
    return had_no_gaps ? dispatch_read() : std::vector<Row>();
}

std::vector<Row> ReadCycle::hold(std::vector<Holder> holders, Ripeness ripeness) {
    ledger_.hold(std::move(holders), ripeness);
    if (was_read_)
        return go_on();
    next_ = Statement::READ;
    return {};
}

std::vector<Row> ReadCycle::probed(std::vector<Row> rows, bool is_cut) {
    std::vector<Id> ids;
    for (const Row& row : rows)
        ids.push_back(row.id);
    if (is_cut || rows.size() == limits_.probe_rows) { // nothing is said of what comes after the last one
        std::erase_if(ranges_, [last = ids.back()](const IdRange& range) { return range.first > last; });
        ranges_.back().last = std::min(ranges_.back().last, ids.back());
    }
    ledger_.probed(ranges_, ids);
    std::vector<Row> rest = go_on();
    rows.insert(rows.end(), std::make_move_iterator(rest.begin()), std::make_move_iterator(rest.end()));
    return rows;
}

std::vector<Row> ReadCycle::go_on() {
    ranges_ = ledger_.due(limits_.probe_ranges);
    if (!ranges_.empty()) {
        next_ = Statement::PROBE;
        return {};
    }
    next_ = Statement::NONE;
    return dispatch_read();
}

std::vector<Row> ReadCycle::dispatch_read() {
    for (const Row& row : incoming_)
        if (row.ahead)
            chosen_.add(chosen_until_ = row.id);
    for (const Id id : std::exchange(passed_, {}))
        chosen_.remove(id);
    return std::exchange(incoming_, {});
}

std::optional<std::chrono::milliseconds> ReadCycle::rest() {
    is_under_way_ = false;
    if (again_)
        return std::chrono::milliseconds(0);
    if (!ledger_.has_gaps())
        return std::nullopt;
    recheck_ = ledger_.is_due() ? FIRST_RECHECK : std::clamp(recheck_ * 2, FIRST_RECHECK, LAST_RECHECK);
    return recheck_;
}

} // namespace odoo_bus
