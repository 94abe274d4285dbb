// The ledger against a simulated PostgreSQL: thousands of random schedules, every small one, and the sizes
// that an hour under load reaches.
#include <algorithm>
#include <chrono>
#include <random>

#include <gtest/gtest.h>

#include "seed.h"
#include "simulated_gateway.h"
#include "simulated_postgres.h"

namespace odoo_bus {
namespace {

using Random = std::mt19937_64;

// A connection that writes: transactions of random statements, one small step at a time.
class RandomWriter {
public:
    // `chooses`: some of its statements name their ids.
    RandomWriter(SimulatedPostgres& postgres, int backend, bool chooses)
        : postgres_(postgres), backend_(backend), chooses_(chooses) {}

    void step(Random& random) {
        if (restarts_ != postgres_.restarts()) { // the server has ended what was not prepared
            restarts_ = postgres_.restarts();
            next_ = next_ == PREPARED ? PREPARED : IDLE;
        }
        switch (next_) {
        case IDLE:
            transaction_ = postgres_.begin(backend_);
            if (random() % 4 == 0)
                postgres_.write(transaction_);
            prepared_ = false;
            left_ = random() % 5;
            next_ = STATEMENT;
            break;
        case STATEMENT:
            statement(random);
            break;
        case DRAW:
            postgres_.draw(transaction_);
            next_ = random() % 16 ? INSERT : STATEMENT; // or the row is refused
            break;
        case INSERT:
            postgres_.insert(transaction_);
            next_ = STATEMENT;
            break;
        case PREPARED: // COMMIT PREPARED or ROLLBACK PREPARED, some time later
            if (random() % 4 == 0)
                end(random);
            break;
        case RELEASE:
            postgres_.release(transaction_);
            prepared_ = false;
            next_ = IDLE;
            break;
        }
    }
    void end_everything(Random& random) {
        left_ = 0;
        do
            step(random);
        while (next_ != IDLE);
    }

private:
    void statement(Random& random) {
        if (left_ == 0) {
            prepared_ = random() % 6 == 0;
            if (!prepared_)
                return end(random);
            postgres_.prepare(transaction_);
            next_ = PREPARED;
            return;
        }
        --left_;
        if (chooses_ && random() % 4 == 0) {
            postgres_.choose(transaction_, static_cast<Id>(1 + random() % 12));
            next_ = INSERT;
            return;
        }
        switch (random() % 6) {
        case 0:
            postgres_.savepoint(transaction_);
            break;
        case 1:
            if (postgres_.savepoints(transaction_) > 0)
                postgres_.rollback_to_savepoint(transaction_);
            break;
        default:
            postgres_.lock(transaction_);
            next_ = DRAW;
        }
    }
    void end(Random& random) {
        if (random() % 4)
            postgres_.become_visible(transaction_);
        else
            postgres_.abort(transaction_);
        next_ = RELEASE;
    }

    SimulatedPostgres& postgres_;
    const int backend_;
    const bool chooses_;
    enum { IDLE, STATEMENT, DRAW, INSERT, PREPARED, RELEASE } next_ = IDLE;
    SimulatedPostgres::Transaction transaction_ = 0;
    bool prepared_ = false;
    size_t left_ = 0;
    int restarts_ = 0;
};

// The greatest of the chosen ids is dispatched although the sequence has not got there; when it gets there,
// all of them are, and none is remembered.
std::string pass_chosen(SimulatedPostgres& postgres, SimulatedGateway& gateway) {
    const auto& chosen = postgres.chosen();
    if (chosen.empty())
        return {};
    const auto greatest = std::ranges::find_if(chosen.rbegin(), chosen.rend(), [&](const auto& draw) {
        return postgres.is_committed(draw) && draw.id > postgres.sequence();
    });
    if (greatest != chosen.rend() && std::ranges::count(gateway.dispatched(), greatest->id) == 0)
        return std::to_string(greatest->id) + " waits for the sequence";
    const auto last = postgres.begin(1);
    while (postgres.sequence() <= chosen.back().id)
        postgres.send(last);
    postgres.commit(last);
    gateway.cycle_until_quiet();
    gateway.cycle();
    return gateway.read_cycle().chosen().empty() ? "" : "chosen ids are remembered for ever";
}

// Writers, the gateway, restarts of the server and lost connections, in random order.
std::string random_schedule(uint64_t seed, SimulatedGateway::By by) {
    Random random(seed);
    SimulatedPostgres postgres;
    std::function<size_t(size_t)> portion;
    if (random() % 2)
        portion = [&random](size_t rows) { return 1 + random() % rows; };
    SimulatedGateway gateway(postgres,
                             {.read_rows = 1 + random() % 6,
                              .probe_ranges = 1 + random() % 4,
                              .probe_rows = 1 + random() % 4,
                              .many_gaps = random() % 2 == 0 ? 1u : 10'000u},
                             portion, by);
    const bool choose = random() % 3 == 0;
    std::vector<RandomWriter> writers;
    for (int backend = 1; backend <= static_cast<int>(2 + random() % 5); ++backend)
        writers.emplace_back(postgres, backend, choose);
    const uint64_t gateway_share = 1 + random() % 4, faults = random() % 3;
    for (uint64_t steps = 40 + random() % 120; steps > 0; --steps) {
        if (faults && random() % 64 < faults) {
            if (random() % 2)
                postgres.restart();
            gateway.lose_connection();
        } else if (random() % 8 < gateway_share) {
            gateway.step();
        } else {
            writers[random() % writers.size()].step(random);
        }
    }
    for (RandomWriter& writer : writers)
        writer.end_everything(random);
    while (!gateway.step()) // the cycle that was under way
        ;
    gateway.cycle_until_quiet();
    gateway.cycle();
    gateway.cycle(); // gaps that were not ripe before
    if (gateway.ledger().stats().bytes != 0)
        return "the ledger keeps memory for no gap";
    if (std::string wrong = pass_chosen(postgres, gateway); !wrong.empty())
        return wrong;
    return complaint(postgres, gateway);
}

class LedgerSchedules : public testing::TestWithParam<SimulatedGateway::By> {};

INSTANTIATE_TEST_SUITE_P(By, LedgerSchedules,
                         testing::Values(SimulatedGateway::By::LOCKS, SimulatedGateway::By::TRANSACTION_IDS),
                         [](const auto& chosen) {
                             return chosen.param == SimulatedGateway::By::LOCKS ? "Locks" : "TransactionIds";
                         });

TEST_P(LedgerSchedules, RandomSchedules) {
    uint64_t seed = test_seed();
    const auto begin = std::chrono::steady_clock::now();
    constexpr int SCHEDULES = 20'000;
    for (int i = 0; i < SCHEDULES; ++i, ++seed) {
        const std::string wrong = random_schedule(seed, GetParam());
        ASSERT_EQ(wrong, "") << again(seed);
    }
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    printf("%d random schedules, %.0f a second\n", SCHEDULES, SCHEDULES / took.count());
}

// One writer's whole life in a small enumeration.
enum Step { SEND, SAVEPOINT, ROLLBACK_TO, VISIBLE, ABORT, RELEASE };
using Script = std::vector<Step>;

const Script COMMITS = {SEND, VISIBLE, RELEASE};
const Script ROLLS_BACK = {SEND, ABORT, RELEASE};
const Script SENDS_TWICE = {SEND, SEND, VISIBLE, RELEASE};
const Script WITH_SAVEPOINT = {SEND, SAVEPOINT, SEND, ROLLBACK_TO, VISIBLE, RELEASE};

// The steps of a schedule are numbers: 0 is the gateway, the others are writers.
std::string replay(const std::vector<int>& schedule, const std::vector<Script>& scripts,
                   SimulatedGateway::By by) {
    SimulatedPostgres postgres;
    SimulatedGateway gateway(postgres, {}, {}, by);
    std::vector<SimulatedPostgres::Transaction> transactions;
    for (size_t i = 0; i < scripts.size(); ++i)
        transactions.push_back(postgres.begin(static_cast<int>(i + 1)));
    std::vector<size_t> done(scripts.size());
    for (const int who : schedule) {
        if (who == 0) {
            gateway.step();
            continue;
        }
        const auto writer = static_cast<size_t>(who - 1);
        const auto transaction = transactions[writer];
        switch (scripts[writer][done[writer]++]) {
        case SEND:
            postgres.send(transaction);
            break;
        case SAVEPOINT:
            postgres.savepoint(transaction);
            break;
        case ROLLBACK_TO:
            postgres.rollback_to_savepoint(transaction);
            break;
        case VISIBLE:
            postgres.become_visible(transaction);
            break;
        case ABORT:
            postgres.abort(transaction);
            break;
        case RELEASE:
            postgres.release(transaction);
            break;
        }
    }
    while (!gateway.step())
        ;
    gateway.cycle();
    gateway.cycle();
    gateway.cycle();
    return complaint(postgres, gateway);
}

// Every order of the steps of `scripts` and of `statements` steps of the gateway. Returns how many there are.
size_t enumerate(const std::vector<Script>& scripts, size_t statements, SimulatedGateway::By by) {
    std::vector<int> schedule(statements, 0);
    for (size_t i = 0; i < scripts.size(); ++i)
        schedule.insert(schedule.end(), scripts[i].size(), static_cast<int>(i + 1));
    size_t count = 0;
    do {
        ++count;
        const std::string wrong = replay(schedule, scripts, by);
        if (!wrong.empty()) {
            std::string steps;
            for (const int who : schedule)
                steps += std::to_string(who);
            ADD_FAILURE() << wrong << " in " << steps << " (0: the gateway)";
            break;
        }
    } while (std::ranges::next_permutation(schedule).found);
    return count;
}

TEST_P(LedgerSchedules, EveryScheduleOfAFewWriters) {
    const auto by = GetParam();
    size_t count = 0;
    for (const Script& first : {COMMITS, ROLLS_BACK, SENDS_TWICE, WITH_SAVEPOINT})
        for (const Script& second : {COMMITS, ROLLS_BACK, SENDS_TWICE})
            count += enumerate({first, second}, 4, by);
    count += enumerate({SENDS_TWICE, SENDS_TWICE}, 5, by);
    count += enumerate({COMMITS, COMMITS, COMMITS}, 2, by);
    count += enumerate({COMMITS, ROLLS_BACK, COMMITS}, 2, by);
    printf("all of %zu schedules\n", count);
    EXPECT_GT(count, 400'000u);
}

// While one transaction that has sent holds the lock, every other id of many is rolled back.
TEST(LedgerSimulation, MillionsOfGapsUnderALongHolderCostMegabytesAndNoTime) {
    using Clock = std::chrono::steady_clock;
    constexpr Id CYCLES = 20'000, IDS = 500; // of one cycle; half of them are gaps
    const std::vector<Holder> long_holder = {parse_holder("1/1")};
    ReadCycle cycle({.read_rows = IDS});
    cycle.start(0, {}, {});
    Id next = 1;
    uint64_t probed = 0;
    const auto run_cycle = [&](const std::vector<Row>& seen, const std::vector<Holder>& holders) {
        cycle.begin();
        while (cycle.next() != ReadCycle::Statement::NONE) {
            if (cycle.next() == ReadCycle::Statement::READ) {
                cycle.saw(seen);
            } else if (cycle.next() == ReadCycle::Statement::HOLDERS) {
                cycle.hold(holders);
            } else {
                probed += cycle.probe_ranges().size();
                cycle.probed({});
            }
        }
        cycle.rest();
    };
    const auto run_cycles = [&](Id cycles) {
        std::vector<double> microseconds;
        for (Id i = 0; i < cycles && probed <= static_cast<uint64_t>(next); ++i) {
            std::vector<Row> seen;
            for (const Id end = next + IDS; next < end; next += 2)
                seen.push_back({.id = next + 1});
            const auto begin = Clock::now();
            run_cycle(seen, long_holder);
            microseconds.push_back(std::chrono::duration<double, std::micro>(Clock::now() - begin).count());
        }
        const auto median = microseconds.begin() + static_cast<std::ptrdiff_t>(microseconds.size() / 2);
        std::ranges::nth_element(microseconds, median);
        return microseconds.empty() ? 0 : *median;
    };
    const double early = run_cycles(CYCLES / 20);
    run_cycles(CYCLES - CYCLES / 10);
    const double late = run_cycles(CYCLES / 20);
    run_cycle({}, long_holder);
    const Ledger::Stats stats = cycle.ledger().stats();
    printf("%.1f million gaps: %.1f MB; a cycle with %lld new gaps took %.0f us at first, %.0f us at last\n",
           static_cast<double>(stats.gaps) / 1e6, static_cast<double>(stats.bytes) / 1e6,
           static_cast<long long>(IDS / 2), early, late);
    EXPECT_EQ(stats.gaps, 5'000'000u);
    EXPECT_EQ(stats.generations, 1u);
    EXPECT_LT(stats.bytes, 2'000'000u);
    EXPECT_EQ(probed, stats.gaps) << "each gap is probed once, after it was noted";
    EXPECT_LT(late, 4 * early + 100) << "a cycle must not cost more because of the gaps that are kept";

    // The holder ends: now all of them are decided.
    run_cycle({}, {});
    EXPECT_EQ(probed, 2 * stats.gaps) << "and once more when the holder has gone";
    EXPECT_FALSE(cycle.ledger().has_gaps());
    EXPECT_EQ(cycle.ledger().stats().bytes, 0u);
}

} // namespace
} // namespace odoo_bus
