// The order of the statements by which a table is read, and of what is dispatched: ledger.h says why it is
// this one.
//
// One cycle:
//
//   HOLDERS   only while many gaps are open
//   READ      what is above max_seen, and chosen ids above the sequence's last value
//   HOLDERS   only while gaps are open
//   PROBE     until no gap is due
//   NONE      finished; rest() tells when the next cycle is to begin
//
// A *chosen* id is one that an INSERT named although the sequence had not got there yet. It is dispatched
// when it is seen, without moving max_seen, and remembered until the sequence has passed it. Chosen ids are
// dispatched after everything else of their snapshot, so that they come after their causes; what a chosen id
// itself causes may come before it. One that is below another chosen id that was dispatched is found when the
// sequence has passed it.
//
// It does no input or output: the caller makes the statements, and hands in what PostgreSQL answered. What an
// answer returns is to be dispatched at once, in this order; it counts as dispatched.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <optional>
#include <vector>

#include "ledger/ledger.h"
#include "ledger/row.h"

namespace odoo_bus {

class ReadCycle {
public:
    struct Limits {
        size_t read_rows = 256; // a cycle that finds as many is followed by another one at once
        size_t probe_ranges = 1000;
        size_t probe_rows = 256;
        // From here on HOLDERS comes before READ, too: gaps whose holders have gone by then are probed in one
        // snapshot, others in two, and that costs more than the look-up.
        uint64_t many_gaps = 10'000;
    };

    ReadCycle() : ReadCycle(Limits()) {}
    explicit ReadCycle(Limits limits) : limits_(limits) {}

    // Begins after `max_seen`. `gaps`: ids up to it that may still come. `chosen`: ids above it that were
    // dispatched. What was known before is forgotten.
    void start(Id max_seen, IdSet gaps, IdSet chosen);

    // Begins a cycle. False when one is under way: another one will follow it at once.
    bool begin();
    // A doorbell has rung: gaps are re-checked soon again.
    void ring() { recheck_ = {}; }
    bool is_under_way() const { return is_under_way_; }

    enum class Statement { NONE, READ, HOLDERS, PROBE };
    // What to ask next.
    Statement next() const { return next_; }

    struct Read {
        Id max_seen;
        Id chosen;           // chosen ids up to this one are known
        size_t rows;         // at most, of each of both kinds
        bool keeps_snapshot; // what follows in this cycle must have the same snapshot
    };
    // What READ needs.
    Read read() const;
    // The answer: rows above Read::max_seen up to the sequence's last value, then those that are `ahead` of
    // it, both ascending. `is_cut`: there are more after the last one, which the answer has no room for.
    std::vector<Row> saw(std::vector<Row> rows, bool is_cut = false);

    // The answer to HOLDERS.
    std::vector<Row> hold(std::vector<Holder> holders, Ripeness ripeness = {});

    // What PROBE needs.
    const std::vector<IdRange>& probe_ranges() const { return ranges_; }
    size_t probe_rows() const { return limits_.probe_rows; }
    // The answer: the first rows in these ranges, ascending. `is_cut`: as for saw().
    std::vector<Row> probed(std::vector<Row> rows, bool is_cut = false);

    // Ends a finished cycle. Returns after which time the next one is to begin, unless the doorbell rings
    // before; none: there is nothing to wait for.
    std::optional<std::chrono::milliseconds> rest();

    // The connection was lost: what was read and not dispatched will be read again.
    void abandon();

    const Ledger& ledger() const { return ledger_; }
    const IdSet& chosen() const { return chosen_; }
    // The greatest id that was dispatched, or decided not to come.
    Id newest() const { return std::max(ledger_.max_seen(), chosen_until_); }
    // False for what may still be dispatched.
    bool is_decided(Id id) const { return chosen_.contains(id) || ledger_.is_decided(id); }

private:
    void reset();
    std::vector<Row> go_on();
    std::vector<Row> dispatch_read();

    const Limits limits_;
    Ledger ledger_;
    IdSet chosen_;        // above max_seen, and dispatched
    Id chosen_until_ = 0; // the greatest that was ever in it
    bool is_under_way_ = false;
    bool again_ = false; // another cycle follows at once
    Statement next_ = Statement::NONE;
    bool was_read_ = false; // READ of this cycle was answered
    // What this cycle's READ returned and was not dispatched yet.
    std::vector<Row> incoming_;
    std::vector<Id> passed_; // were dispatched as chosen ones, and the sequence has got there
    std::vector<IdRange> ranges_;
    std::chrono::milliseconds recheck_ = {};
};

} // namespace odoo_bus
