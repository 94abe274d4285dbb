// Runs the product's ReadCycle against a SimulatedPostgres, one statement at a time, and remembers what it
// dispatched.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ledger/read_cycle.h"
#include "simulated_postgres.h"

namespace odoo_bus {

class SimulatedGateway {
public:
    // By what it decides which gaps are dead.
    enum class By {
        LOCKS,
        TRANSACTION_IDS,       // after whoever drew a gap must have written
        TRANSACTION_IDS_EARLY, // at once, so that a slow INSERT is not waited for
    };

    // `portion`: of so many rows, how many an answer has room for: at least one.
    explicit SimulatedGateway(const SimulatedPostgres& postgres, ReadCycle::Limits limits = {},
                              std::function<size_t(size_t rows)> portion = {}, By by = By::LOCKS)
        : postgres_(postgres), portion_(std::move(portion)), by_(by), cycle_(limits) {
        cycle_.start(0, {}, {});
    }

    // One statement and what follows from its answer. True when that was the last one of the cycle.
    bool step() {
        ++statements_;
        if (!cycle_.is_under_way()) {
            cycle_.begin();
            ripe_ = by_ == By::TRANSACTION_IDS ? postgres_.written_by() : postgres_.now();
        }
        switch (cycle_.next()) {
        case ReadCycle::Statement::READ:
            read();
            break;
        case ReadCycle::Statement::HOLDERS:
            take_snapshot();
            hold();
            break;
        case ReadCycle::Statement::PROBE:
            probed_ranges_ += cycle_.probe_ranges().size();
            take_snapshot();
            probe();
            break;
        case ReadCycle::Statement::NONE:
            break;
        }
        if (cycle_.next() != ReadCycle::Statement::NONE)
            return false;
        keeps_snapshot_ = false;
        rest_ = cycle_.rest();
        return true;
    }
    void read_only() { step(); } // for tests that put something between the statements
    void cycle() {
        while (!step())
            ;
    }
    // As long as another cycle is to follow at once, within reason.
    void cycle_until_quiet() {
        for (int cycles = 0; cycles == 0 || (rest_ && *rest_ == rest_->zero() && cycles < 10'000); ++cycles)
            cycle();
    }

    void lose_connection() {
        cycle_.abandon();
        keeps_snapshot_ = false;
    }

    const std::vector<Id>& dispatched() const { return dispatched_; }
    const Ledger& ledger() const { return cycle_.ledger(); }
    const ReadCycle& read_cycle() const { return cycle_; }
    // After which time the last cycle wants the next one.
    std::optional<std::chrono::milliseconds> rest() const { return rest_; }
    uint64_t probed_ranges() const { return probed_ranges_; }
    uint64_t statements() const { return statements_; }

private:
    void read() {
        take_snapshot();
        const ReadCycle::Read read = cycle_.read();
        keeps_snapshot_ = read.keeps_snapshot;
        std::vector<Row> rows = postgres_.read(snapshot_, read.max_seen, read.chosen, read.rows);
        const bool is_cut = cut(rows);
        dispatch(cycle_.saw(std::move(rows), is_cut));
    }
    void probe() {
        std::vector<Row> rows = postgres_.rows(snapshot_, cycle_.probe_ranges(), cycle_.probe_rows());
        const bool is_cut = cut(rows);
        dispatch(cycle_.probed(std::move(rows), is_cut));
    }
    void hold() {
        if (by_ == By::LOCKS)
            dispatch(cycle_.hold(postgres_.holders(snapshot_)));
        else
            dispatch(cycle_.hold(transaction_ids_, {.now = postgres_.now(), .ripe = ripe_}));
    }
    bool cut(std::vector<Row>& rows) const {
        const size_t room = portion_ && !rows.empty() ? portion_(rows.size()) : rows.size();
        const bool is_cut = room < rows.size();
        rows.erase(rows.begin() + static_cast<std::ptrdiff_t>(room), rows.end());
        return is_cut;
    }
    void take_snapshot() {
        if (keeps_snapshot_)
            return;
        snapshot_ = postgres_.snapshot();
        transaction_ids_ = postgres_.transaction_ids();
    }
    void dispatch(const std::vector<Row>& rows) {
        for (const Row& row : rows)
            dispatched_.push_back(row.id);
    }

    const SimulatedPostgres& postgres_;
    const std::function<size_t(size_t)> portion_;
    const By by_;
    ReadCycle cycle_;
    SimulatedPostgres::Snapshot snapshot_; // of the statement, or of the whole cycle
    std::vector<Holder> transaction_ids_;  // in progress, likewise
    int64_t ripe_ = 0;
    bool keeps_snapshot_ = false;
    std::vector<Id> dispatched_;
    std::optional<std::chrono::milliseconds> rest_;
    uint64_t probed_ranges_ = 0;
    uint64_t statements_ = 0;
};

// What is wrong with what was dispatched when every writer has ended: empty when nothing is.
inline std::string complaint(const SimulatedPostgres& postgres, const SimulatedGateway& gateway) {
    const std::vector<SimulatedPostgres::Draw> draws = postgres.draws();
    Id greatest = postgres.sequence();
    if (!postgres.chosen().empty())
        greatest = std::max(greatest, postgres.chosen().back().id);
    std::vector<size_t> place(static_cast<size_t>(greatest) + 1, 0); // of each id, from 1
    const auto place_of = [&place](Id id) -> size_t& { return place[static_cast<size_t>(id)]; };
    size_t at = 0;
    for (const Id id : gateway.dispatched())
        if (std::exchange(place_of(id), ++at) != 0)
            return std::to_string(id) + " was dispatched twice";
    // Of the rows of one id at most one is committed.
    std::vector<bool> committed(place.size());
    for (const auto& draw : draws)
        if (postgres.is_committed(draw))
            committed[static_cast<size_t>(draw.id)] = true;
    for (Id id = 1; id <= greatest; ++id) {
        if (place_of(id) != 0 && !committed[static_cast<size_t>(id)])
            return std::to_string(id) + " was dispatched, and it was rolled back";
        if (place_of(id) == 0 && committed[static_cast<size_t>(id)])
            return std::to_string(id) + " was lost";
    }
    if (!gateway.ledger().gaps().empty())
        return std::to_string(gateway.ledger().gaps().size()) + " gaps are still open";
    // What one transaction sent stays in the order in which it was sent, chosen ids apart.
    std::vector<Id> newest(postgres.transactions()); // of each transaction, so far
    for (const auto& draw : draws) {
        if (!postgres.is_committed(draw) || draw.chosen)
            continue;
        const Id before = std::exchange(newest[draw.by], draw.id);
        if (before != 0 && place_of(before) > place_of(draw.id))
            return std::to_string(draw.id) + " was dispatched before " + std::to_string(before) +
                   " of the same transaction";
    }
    // A transaction could know, when it drew or chose an id, of everything that was seen before.
    std::vector<const SimulatedPostgres::Draw*> causes;
    for (const auto& draw : draws)
        if (postgres.is_committed(draw) && !draw.chosen)
            causes.push_back(&draw);
    std::ranges::sort(causes, {}, &SimulatedPostgres::Draw::seen_at);
    auto cause = causes.begin();
    Id latest = 0; // of the causes, in dispatch order
    for (const auto& effect : draws) {
        for (; cause != causes.end() && (*cause)->seen_at < effect.drawn_at; ++cause)
            if (latest == 0 || place_of((*cause)->id) > place_of(latest))
                latest = (*cause)->id;
        if (latest != 0 && postgres.is_committed(effect) && place_of(latest) > place_of(effect.id))
            return std::to_string(effect.id) + " was dispatched before its cause " + std::to_string(latest);
    }
    return {};
}

} // namespace odoo_bus
