// The common order of several gateways against random schedules of everything that can fail: see
// simulated_node.h for the gateways, and simulated_client.h for what must hold for every client.
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "seed.h"
#include "simulated_client.h"
#include "simulated_node.h"

namespace odoo_bus {
namespace {

using namespace std::chrono_literals;

class Simulation {
public:
    enum Fault {
        KILL,
        KILL_LEADER,
        KILL_AFTER_SELECT,
        KILL_AFTER_APPEND,
        LOSE_REPLY,
        LOSE_STATE,
        STOP,
        STOP_LEADER,
        CUT_EDGE,
        EMPTY_REDIS,
        LOSE_TAIL,
        REDIS_AWAY,
        REDIS_STOPPED,
        TRIM,
        LOSE_LOCK,
        POSTGRES_AWAY,
        FAULTS
    };

    explicit Simulation(uint64_t seed, bool has_faults) : random_(seed) {
        const int nodes = static_cast<int>(2 + random_() % 2 + random_() % 8 / 7);
        for (int i = 0; i < nodes; ++i)
            nodes_.push_back(std::make_unique<SimulatedNode>(world_, i));
        clients_.assign(2 + random_() % 2, SimulatedClient(world_));
        world_.redis.keeps_bytes = random_() % 16 == 0;
        if (has_faults) {
            planned_ = random_() % (1 << FAULTS);
            for (int i = static_cast<int>(random_() % 3); i > 0; --i)
                planned_ &= random_(); // few kinds show more of each
            fault_every_ = 8 << random_() % 5;
        }
    }

    // What is wrong; empty: nothing.
    std::string run() {
        // What is committed before the first leader adopts the table counts as dispatched.
        for (int i = 0; i < 2000 && !is_begun(); ++i)
            step(a_moment());
        if (!is_begun())
            return "there is no first leader";
        faults_ = planned_;
        for (size_t steps = 60 + random_() % 160; steps > 0 && complaint().empty(); --steps) {
            send();
            fail();
            move_clients();
            step(a_moment());
        }
        heal();
        for (int i = 0; i < 2000 && complaint().empty() && !is_settled(); ++i) {
            return_clients();
            step(have_all_begun() ? 100ms : a_moment());
        }
        if (!complaint().empty())
            return complaint();
        return is_settled() ? "" : unsettled();
    }

    SimulatedClient::Counts counts() const {
        SimulatedClient::Counts sum;
        for (const SimulatedClient& client : clients_) {
            sum.exact += client.counts.exact;
            sum.overlaps += client.counts.overlaps;
            sum.again += client.counts.again;
        }
        return sum;
    }

private:
    SimulatedNode& any_node() { return *nodes_[random_() % nodes_.size()]; }
    SimulatedNode* leader() const {
        const auto leader = std::ranges::find_if(nodes_, [](const auto& node) { return node->is_leading(); });
        return leader == nodes_.end() ? nullptr : leader->get();
    }
    bool has(Fault fault) const { return faults_ >> fault & 1; }

    void step(Duration duration) {
        world_.now += duration;
        SimulatedRedis& redis = world_.redis;
        if (world_.now >= away_until_)
            redis.is_up = true, redis.is_stopped = false;
        world_.table.is_up = world_.now >= postgres_away_until_;
        if (random_() % 4 == 0)
            arrive_late();
        for (const auto& node : nodes_) {
            while (random_() % 4 && node->is_alive())
                if (node->send_one())
                    appended(*node);
            node->step(random_);
            if (node->take_wish_to_end_holder())
                for (const auto& each : nodes_)
                    each->end_lock_session();
            if (node->has_selected() && has(KILL_AFTER_SELECT) && random_() % 32 == 0)
                kill(*node);
        }
        for (SimulatedClient& client : clients_)
            client.step(random_);
    }
    void appended(SimulatedNode& node) {
        if (has(KILL_AFTER_APPEND) && random_() % 32 == 0)
            kill(node);
        else if (has(LOSE_REPLY) && random_() % 16 == 0)
            node.cut(random_() % 2 ? 0ms : 500ms);
    }
    // Of what was on its way when a connection was lost, the first commands may arrive.
    void arrive_late() {
        if (world_.late.empty() || !world_.redis.is_up || world_.redis.is_stopped)
            return;
        for (const Command& command : world_.late.front().commands) {
            if (random_() % 3 == 0)
                break;
            execute(world_.redis, world_.late.front().name, command);
        }
        world_.late.pop_front();
    }

    void send() {
        SimulatedTable& table = world_.table;
        if (random_() % 3 == 0 && table.open().size() < 4)
            table.draw();
        if (!table.open().empty() && random_() % 3 == 0) {
            const Id id = table.open()[random_() % table.open().size()];
            table.end(id, random_() % 8 != 0);
        }
    }
    void move_clients() {
        for (SimulatedClient& client : clients_)
            if (!client.node() || random_() % 24 == 0)
                client.move_to(any_node());
    }
    void return_clients() {
        for (SimulatedClient& client : clients_)
            if (!client.node())
                client.move_to(any_node());
    }

    // --- faults ---

    // Some of them: what is on its way arrives well within a second, without faults.
    Duration a_moment() { return Duration(random_() % 60'000); }
    Duration a_while() {
        constexpr Duration WHILES[] = {100ms, 1s, 2500ms, 3500ms, 6s, 12s};
        return WHILES[random_() % std::size(WHILES)];
    }
    void kill(SimulatedNode& node) {
        node.kill();
        for (SimulatedClient& client : clients_)
            if (client.node() == &node)
                client.leave();
    }
    void fail() {
        for (const auto& node : nodes_)
            if (!node->is_alive() && random_() % 16 == 0)
                node->start(!(has(LOSE_STATE) && random_() % 2 && can_lose_state(*node)));
        if (faults_ == 0 || random_() % fault_every_ != 0)
            return;
        const auto fault = static_cast<Fault>(random_() % FAULTS);
        if (has(fault))
            fail(fault, any_node());
    }
    // Another one knows what there was: otherwise it is a first start.
    bool can_lose_state(const SimulatedNode& but) const {
        return std::ranges::any_of(nodes_, [&](const auto& node) {
            return node.get() != &but && node->is_alive() && node->engine().edge().has_ledgers() &&
                   node->engine().is_ready();
        });
    }
    void fail(Fault fault, SimulatedNode& node) {
        SimulatedNode* const leads = leader();
        SimulatedRedis& redis = world_.redis;
        switch (fault) {
        case KILL:
            if (node.is_alive())
                kill(node);
            break;
        case KILL_LEADER:
            if (leads)
                kill(*leads);
            break;
        case STOP:
            node.stop(a_while());
            break;
        case STOP_LEADER:
            if (leads)
                leads->stop(a_while());
            break;
        case CUT_EDGE:
            if (node.is_alive())
                node.cut(a_while());
            break;
        case EMPTY_REDIS:
            redis.flush();
            if (random_() % 2)
                cut_all(0ms);
            break;
        case LOSE_TAIL:
            redis.lose_tail(1 + random_() % 6);
            cut_all(0ms);
            break;
        case REDIS_AWAY:
            redis.is_up = false;
            away_until_ = world_.now + a_while();
            cut_all(0ms);
            if (random_() % 3 == 0)
                redis.flush();
            break;
        case REDIS_STOPPED:
            redis.is_stopped = true;
            away_until_ = world_.now + a_while();
            break;
        case TRIM:
            redis.trim();
            break;
        case LOSE_LOCK:
            for (const auto& each : nodes_)
                each->end_lock_session();
            break;
        case POSTGRES_AWAY:
            postgres_away_until_ = world_.now + a_while();
            for (const auto& each : nodes_)
                each->end_lock_session();
            break;
        default: // where they can happen
            break;
        }
    }
    void cut_all(Duration duration) {
        for (const auto& node : nodes_)
            if (node->is_alive())
                node->cut(duration);
    }

    void heal() {
        faults_ = 0;
        away_until_ = postgres_away_until_ = world_.now;
        while (!world_.table.open().empty())
            world_.table.end(world_.table.open().front(), true);
        for (const auto& node : nodes_) {
            if (!node->is_alive())
                node->start(true);
            node->let_continue();
        }
    }

    // --- what is to be seen ---

    std::string complaint() const {
        if (!world_.redis.complaint().empty())
            return world_.redis.complaint();
        for (size_t i = 0; i < clients_.size(); ++i)
            if (!clients_[i].complaint().empty())
                return "client " + std::to_string(i) + ": " + clients_[i].complaint();
        return {};
    }
    bool is_begun() const {
        return std::ranges::all_of(nodes_, [](const auto& node) {
            return node->engine().is_ready() && node->engine().edge().databases().contains(DATABASE);
        });
    }
    bool have_all_begun() const {
        return std::ranges::all_of(clients_, [](const auto& client) { return client.has_begun(); });
    }
    bool is_settled() const {
        return std::ranges::all_of(clients_, [](const auto& client) { return client.has_all(); }) &&
               std::ranges::all_of(nodes_, [](const auto& node) { return node->is_quiet(); }) &&
               std::ranges::count_if(nodes_, [](const auto& node) { return node->is_leading(); }) == 1;
    }
    std::string unsettled() const {
        for (size_t i = 0; i < clients_.size(); ++i)
            if (!clients_[i].has_all())
                return "client " + std::to_string(i) + " was not given " + clients_[i].missing();
        for (const auto& node : nodes_)
            if (!node->is_quiet())
                return node->name() + " does not follow again";
        return "there is no leader, or more than one";
    }

    Random random_;
    World world_;
    std::vector<std::unique_ptr<SimulatedNode>> nodes_;
    std::vector<SimulatedClient> clients_;
    uint64_t planned_ = 0, faults_ = 0; // those that can happen in this schedule, and now
    uint64_t fault_every_ = 1;
    Monotonic away_until_ = {}, postgres_away_until_ = {};
};

int schedules() {
    const char* const given = getenv("ODOO_BUS_TEST_SCHEDULES");
    return given ? atoi(given) : SANITIZED ? 2'000 : 20'000;
}

// The same schedules in each run: rare mistakes are to be found by who works on this room, with other seeds,
// and are no lottery for who changes something else.
uint64_t first_seed() {
    return getenv("ODOO_BUS_TEST_SEED") ? test_seed() : 1;
}

constexpr int MAX_FAILURES = 10; // to be listed

TEST(EngineSimulation, RandomSchedules) {
    uint64_t seed = first_seed();
    const auto begin = std::chrono::steady_clock::now();
    SimulatedClient::Counts counts;
    int failures = 0;
    for (int i = 0; i < schedules() && failures < MAX_FAILURES; ++i, ++seed) {
        Simulation simulation(seed, seed % 8 != 0);
        std::string complaint = simulation.run();
        const SimulatedClient::Counts some = simulation.counts();
        if (complaint.empty() && seed % 8 == 0 && some.overlaps > 0)
            complaint = "an overlap without a fault";
        if (!complaint.empty()) {
            ADD_FAILURE() << complaint << ", " << again(seed);
            ++failures;
        }
        counts.exact += some.exact;
        counts.overlaps += some.overlaps;
        counts.again += some.again;
    }
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    printf("%d random schedules, %.0f a second\n", schedules(), schedules() / took.count());
    printf("clients went on exactly %llu times, and %llu times with an overlap, which gave them %llu again\n",
           static_cast<unsigned long long>(counts.exact), static_cast<unsigned long long>(counts.overlaps),
           static_cast<unsigned long long>(counts.again));
    if (schedules() > 100) {
        EXPECT_GT(counts.exact, counts.overlaps) << "it is the exception";
    }
}

} // namespace
} // namespace odoo_bus
