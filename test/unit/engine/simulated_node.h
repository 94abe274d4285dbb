// A gateway of the simulation: the product's Engine, driven as its driver is to do it, one small step at a
// time, over connections that may be late or lost.
#pragma once

#include <chrono>
#include <deque>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "engine/engine.h"
#include "simulated_redis.h"
#include "simulated_table.h"

namespace odoo_bus {

using Random = std::mt19937_64;

inline const std::string DATABASE = "db";

// What the gateways have around them.
struct World {
    SimulatedTable table;
    SimulatedRedis redis;
    Monotonic now = Monotonic(std::chrono::hours(1));
    // Commands of connections that were lost, which may still arrive: each time those of one connection.
    struct Late {
        std::string name;
        std::deque<Command> commands;
    };
    std::deque<Late> late;

    uint64_t unix_ms() const { return static_cast<uint64_t>(now.time_since_epoch().count() / 1000); }
};

class SimulatedNode {
public:
    // A notification that clients here are given.
    struct Given {
        Id id;
        Monotonic at;
    };

    SimulatedNode(World& world, int number) : world_(world), number_(number) { start(false); }

    // --- what happens to it ---

    void kill();
    // Again, with what its state files say; or without them, under another name.
    void start(bool with_state);
    void stop(Duration duration) { stopped_until_ = world_.now + duration; }
    void let_continue() { stopped_until_ = {}; }
    // The connection to Redis is lost, and cannot be made again for a while.
    void cut(Duration duration);
    void end_lock_session();

    // --- what it does by itself ---

    bool is_alive() const { return engine_.has_value(); }
    bool is_running() const { return engine_ && world_.now >= stopped_until_; }
    bool is_leading() const { return engine_ && engine_->leadership().is_leading(); }
    bool has_selected() const { return selected_.has_value(); }
    bool is_quiet() const;
    bool is_linked() const { return is_linked_; }
    const Engine& engine() const { return *engine_; }
    const std::string& name() const { return name_; }

    void step(Random& random);
    // It has asked that the session which has the lock is ended.
    bool take_wish_to_end_holder() { return std::exchange(wants_holder_ended_, false); }
    // One command arrives at Redis. True when it wrote to the stream.
    bool send_one();

    // --- for clients ---

    const std::vector<Given>& history() const { return history_; }
    // The history has everything that there ever was.
    bool is_complete() const { return is_complete_; }
    // It was given out, or stood in the table before the history began.
    bool has_passed(Id id) const;
    // The place after the id in the history.
    std::optional<size_t> place_after(Id id) const;

private:
    struct ReadAnswer {
        EntryId after;
        std::vector<EntryPtr> entries;
    };
    using Answer = std::variant<EntryId, EdgeTable::Records, ReadAnswer>;

    void connect();
    bool hear();
    void hear_of_lock(Random& random);
    void read_stream(Random& random);
    void read_table(Random& random);
    void dispatch(const std::vector<Id>& ids);
    void carry_out();
    void carry_out(const Command& command);
    void begin_to_lead();
    Checkpoint adopt();
    void give_out(const Batch& batch);

    World& world_;
    const int number_;
    std::string name_;
    int lives_ = 0;
    Edge::Saved saved_;
    std::optional<Engine> engine_;
    Monotonic ticked_ = {};
    Monotonic stopped_until_ = {};

    std::vector<Given> history_;
    bool is_complete_ = true;
    std::vector<size_t> places_; // of each id, after it; 0: it is not there

    bool is_linked_ = false;
    Monotonic link_down_until_ = {};
    std::deque<Command> to_redis_;
    std::deque<Answer> from_redis_;
    bool is_reading_ = false;    // an answer is to come
    EntryId learned_ = NO_ENTRY; // a process that has started reads from the oldest entry on
    bool is_learning_ = true;
    Monotonic heard_stream_ = {};

    bool waits_for_lock_ = false;
    bool has_lost_lock_ = false; // and will hear of it
    bool wants_holder_ended_ = false;

    enum class Reads { NOTHING, FOR_ALL, FOR_ITSELF };
    Reads reads_ = Reads::NOTHING;
    Checkpoint ledger_;                       // of what it reads
    std::optional<std::vector<Id>> selected_; // and did not dispatch yet
    uint64_t read_version_ = 0;               // of the table
};

// What Redis does with a command that writes; true when the stream has changed.
bool execute(SimulatedRedis& redis, const std::string& name, const Command& command);

} // namespace odoo_bus
