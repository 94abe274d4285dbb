// Runs the ledger's cycle against a SimulatedPostgres as the gateway does, one statement at a time, and
// remembers what it dispatched.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "ledger/ledger.h"
#include "simulated_postgres.h"

namespace odoo_bus {

class SimulatedGateway {
public:
    struct Limits {
        size_t read_rows = 256;
        size_t probe_ranges = 1000;
        size_t probe_rows = 256;
        bool looks_up_first = false; // as the gateway does when it has many gaps
    };

    explicit SimulatedGateway(const SimulatedPostgres& postgres) : SimulatedGateway(postgres, Limits()) {}
    SimulatedGateway(const SimulatedPostgres& postgres, Limits limits)
        : postgres_(postgres), limits_(limits) {
        ledger_.start(0, {});
    }

    // One statement and what follows from its answer. True when that was the last one of the cycle.
    bool step() {
        ++statements_;
        switch (next_) {
        case READ:
            read();
            break;
        case HOLDERS:
            hold();
            go_on();
            break;
        case PROBE:
            probe();
            break;
        }
        return next_ == READ;
    }
    void read_only() { step(); } // for tests that put something between the statements
    void cycle() {
        while (!step())
            ;
    }
    void cycle_until_quiet() {
        do
            cycle();
        while (full_);
    }

    void lose_connection() {
        ledger_.abandon();
        incoming_.clear();
        next_ = READ;
    }

    const std::vector<Id>& dispatched() const { return dispatched_; }
    const Ledger& ledger() const { return ledger_; }
    uint64_t probed_ranges() const { return probed_ranges_; }
    uint64_t statements() const { return statements_; }

private:
    void read() {
        if (limits_.looks_up_first && ledger_.has_gaps()) {
            snapshot_ = postgres_.snapshot();
            hold();
        }
        in_snapshot_ = ledger_.has_gaps();
        snapshot_ = postgres_.snapshot();
        incoming_ = postgres_.rows_above(snapshot_, ledger_.max_seen(), limits_.read_rows);
        full_ = incoming_.size() == limits_.read_rows;
        if (ledger_.saw(incoming_))
            dispatch(incoming_);
        if (ledger_.has_gaps())
            next_ = HOLDERS;
        else
            go_on();
    }
    void hold() {
        if (!in_snapshot_)
            snapshot_ = postgres_.snapshot();
        ledger_.hold(postgres_.holders(snapshot_));
    }
    void probe() {
        probed_ranges_ += ranges_.size();
        std::vector<Id> found = postgres_.rows(snapshot_, ranges_, limits_.probe_rows);
        if (found.size() == limits_.probe_rows) { // nothing is said of what comes after the last one
            std::erase_if(ranges_, [&](const IdRange& range) { return range.first > found.back(); });
            ranges_.back().last = std::min(ranges_.back().last, found.back());
        }
        ledger_.probed(ranges_, found);
        dispatch(found);
        go_on();
    }
    void go_on() {
        ranges_ = ledger_.due(limits_.probe_ranges);
        if (ranges_.empty())
            dispatch(incoming_);
        next_ = ranges_.empty() ? READ : PROBE;
    }
    void dispatch(std::vector<Id>& rows) {
        dispatched_.insert(dispatched_.end(), rows.begin(), rows.end());
        rows.clear();
    }

    const SimulatedPostgres& postgres_;
    const Limits limits_;
    Ledger ledger_;
    enum { READ, HOLDERS, PROBE } next_ = READ;
    SimulatedPostgres::Snapshot snapshot_; // of the statement, or of the whole cycle
    bool in_snapshot_ = false;
    std::vector<Id> incoming_;
    std::vector<IdRange> ranges_;
    std::vector<Id> dispatched_;
    bool full_ = false;
    uint64_t probed_ranges_ = 0;
    uint64_t statements_ = 0;
};

// What is wrong with what was dispatched when every writer has ended: empty when nothing is.
inline std::string complaint(const SimulatedPostgres& postgres, const SimulatedGateway& gateway) {
    std::vector<size_t> place(postgres.draws().size() + 1, 0); // of each id, from 1
    size_t at = 0;
    for (const Id id : gateway.dispatched()) {
        if (place[static_cast<size_t>(id)] != 0)
            return std::to_string(id) + " was dispatched twice";
        place[static_cast<size_t>(id)] = ++at;
    }
    for (const auto& draw : postgres.draws()) {
        const bool dispatched = place[static_cast<size_t>(draw.id)] != 0;
        if (dispatched && !postgres.is_committed(draw))
            return std::to_string(draw.id) + " was dispatched, and it was rolled back";
        if (!dispatched && postgres.is_committed(draw))
            return std::to_string(draw.id) + " was lost";
    }
    if (!gateway.ledger().gaps().empty())
        return std::to_string(gateway.ledger().gaps().size()) + " gaps are still open";
    // What one transaction sent stays in the order in which it was sent.
    std::vector<Id> newest(postgres.transactions()); // of each transaction, so far
    for (const auto& draw : postgres.draws()) {
        if (!postgres.is_committed(draw))
            continue;
        const Id before = std::exchange(newest[draw.by], draw.id);
        if (before != 0 && place[static_cast<size_t>(before)] > place[static_cast<size_t>(draw.id)])
            return std::to_string(draw.id) + " was dispatched before " + std::to_string(before) +
                   " of the same transaction";
    }
    // Whoever drew an id could know of everything that was seen before.
    std::vector<const SimulatedPostgres::Draw*> causes;
    for (const auto& draw : postgres.draws())
        if (postgres.is_committed(draw))
            causes.push_back(&draw);
    std::ranges::sort(causes, {}, &SimulatedPostgres::Draw::seen_at);
    auto cause = causes.begin();
    Id latest = 0; // of the causes, in dispatch order
    for (const auto& effect : postgres.draws()) {
        for (; cause != causes.end() && (*cause)->seen_at < effect.drawn_at; ++cause)
            if (latest == 0 || place[static_cast<size_t>((*cause)->id)] > place[static_cast<size_t>(latest)])
                latest = (*cause)->id;
        if (latest != 0 && postgres.is_committed(effect) &&
            place[static_cast<size_t>(latest)] > place[static_cast<size_t>(effect.id)])
            return std::to_string(effect.id) + " was dispatched before its cause " + std::to_string(latest);
    }
    return {};
}

} // namespace odoo_bus
