// A gateway of the simulation.
#include "simulated_node.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "base/overloaded.h"

namespace odoo_bus {

using namespace std::chrono_literals;

namespace {

constexpr EntryLog::Bounds HISTORY{.age = 600s, .bytes = 1 << 20};
constexpr Duration TICK = 100ms;

// The same row for every reader.
Notification notification(Id id, Position position, Monotonic now) {
    return {.id = id,
            .position = position,
            .fingerprint = static_cast<uint64_t>(id) * 7,
            .dispatched = now,
            .ahead = false,
            .channel = "c",
            .element = "e"};
}

} // namespace

bool execute(SimulatedRedis& redis, const std::string& name, const Command& command) {
    const EntryId before = redis.head();
    if (const auto* const append = std::get_if<command::Append>(&command))
        redis.append(append->entry);
    else if (const auto* const restore = std::get_if<command::Restore>(&command))
        redis.restore(*restore);
    else if (const auto* const exchange = std::get_if<command::ExchangeRecords>(&command))
        redis.exchange(name, *exchange);
    return redis.head() != before;
}

// --- what happens to it ---

void SimulatedNode::kill() {
    cut({});
    saved_ = {.applied = engine_->edge().applied(),
              .deviation = engine_->edge().deviation(),
              .databases = engine_->edge().databases()};
    engine_.reset();
    if (world_.table.lock_holder == number_)
        world_.table.lock_holder = -1;
    waits_for_lock_ = has_lost_lock_ = wants_holder_ended_ = false;
    selected_.reset();
}

void SimulatedNode::start(bool with_state) {
    if (!with_state) {
        saved_ = {};
        history_.clear();
        places_.clear();
        is_complete_ = world_.table.committed().empty();
        name_ = std::to_string(number_) + '.' + std::to_string(++lives_);
    }
    engine_.emplace(Engine::Settings{.name = name_, .history = HISTORY}, std::exchange(saved_, {}),
                    world_.now);
    reads_ = Reads::NOTHING;
    selected_.reset();
    is_learning_ = true;
    learned_ = NO_ENTRY;
    ticked_ = world_.now;
    stopped_until_ = link_down_until_ = {};
}

void SimulatedNode::cut(Duration duration) {
    link_down_until_ = world_.now + duration;
    if (!to_redis_.empty())
        world_.late.push_back({name_, std::move(to_redis_)});
    to_redis_.clear();
    from_redis_.clear();
    is_reading_ = false;
    if (std::exchange(is_linked_, false))
        engine_->disconnected();
}

void SimulatedNode::end_lock_session() {
    if (world_.table.lock_holder != number_)
        return;
    world_.table.lock_holder = -1;
    has_lost_lock_ = true;
}

// --- what it does by itself ---

void SimulatedNode::step(Random& random) {
    if (!is_running())
        return;
    connect();
    while (random() % 4 && hear())
        ;
    if (const Duration since = world_.now - ticked_; since >= TICK) {
        // What has arrived while the process was stopped is there before its timers.
        while (since >= 5 * TICK && hear())
            ;
        ticked_ = world_.now;
        engine_->tick(world_.now, world_.unix_ms());
        carry_out();
    }
    hear_of_lock(random);
    if (random() % 2)
        read_stream(random);
    if (random() % 2)
        read_table(random);
}

void SimulatedNode::connect() {
    const SimulatedRedis& redis = world_.redis;
    if (is_linked_ || !redis.is_up || redis.is_stopped || world_.now < link_down_until_)
        return;
    is_linked_ = true;
    heard_stream_ = world_.now;
    engine_->connected(world_.now);
    carry_out();
}

bool SimulatedNode::send_one() {
    const SimulatedRedis& redis = world_.redis;
    if (to_redis_.empty() || !redis.is_up || redis.is_stopped)
        return false;
    const Command command = std::move(to_redis_.front());
    to_redis_.pop_front();
    const bool has_written = execute(world_.redis, name_, command);
    if (std::holds_alternative<command::ExchangeRecords>(command))
        from_redis_.emplace_back(redis.records());
    else
        from_redis_.emplace_back(redis.head());
    return has_written;
}

bool SimulatedNode::hear() {
    if (from_redis_.empty())
        return false;
    const Answer answer = std::move(from_redis_.front());
    from_redis_.pop_front();
    std::visit(
        Overloaded{[this](EntryId head) { engine_->head_is(head, world_.now); },
                   [this](const EdgeTable::Records& records) { engine_->records_are(records, world_.now); },
                   [this](const ReadAnswer& read) {
                       is_reading_ = false;
                       // What was asked before something else has moved the edge is out of date.
                       const EntryId from = is_learning_ ? learned_ : engine_->edge().applied();
                       if (from != read.after)
                           return;
                       for (const EntryPtr& entry : read.entries) {
                           engine_->read(entry, world_.now);
                           learned_ = entry->id;
                       }
                   }},
        answer);
    carry_out();
    return true;
}

void SimulatedNode::hear_of_lock(Random& random) {
    if (has_lost_lock_ && random() % 4 == 0) {
        has_lost_lock_ = false;
        engine_->lock_lost(world_.now);
        carry_out();
    }
    if (waits_for_lock_ && world_.table.is_up && world_.table.lock_holder < 0) {
        waits_for_lock_ = false;
        world_.table.lock_holder = number_;
        engine_->locked(world_.now);
        carry_out();
    }
}

void SimulatedNode::read_stream(Random& random) {
    const SimulatedRedis& redis = world_.redis;
    if (!is_linked_ || is_reading_ || redis.is_stopped || engine_->edge().state() == Edge::State::LOCAL)
        return;
    const EntryId applied = engine_->edge().applied();
    is_learning_ = is_learning_ && learned_ < applied;
    const EntryId after = is_learning_ ? learned_ : applied;
    std::vector<EntryPtr> entries = redis.read_after(after, 1 + random() % 4);
    if (!entries.empty()) {
        heard_stream_ = world_.now;
        is_reading_ = true;
        from_redis_.emplace_back(ReadAnswer{after, std::move(entries)});
    } else if (world_.now - heard_stream_ >= 1s) {
        heard_stream_ = world_.now;
        is_learning_ = false;
        engine_->reading_timed_out();
        carry_out();
    }
}

// SELECT, and later what follows from it.
void SimulatedNode::read_table(Random& random) {
    if (reads_ == Reads::NOTHING || !world_.table.is_up)
        return;
    if (selected_) {
        dispatch(*std::exchange(selected_, std::nullopt));
    } else if (read_version_ != world_.table.version()) {
        const uint64_t version = world_.table.version();
        const size_t limit = 1 + random() % 8;
        selected_ = world_.table.read(ledger_, limit);
        if (selected_->size() < limit)
            read_version_ = version;
    } else if (reads_ == Reads::FOR_ITSELF) {
        engine_->tables_read();
    } else {
        engine_->announce(DATABASE, ledger_, world_.now);
        carry_out();
    }
}

void SimulatedNode::dispatch(const std::vector<Id>& ids) {
    if (ids.empty())
        return;
    auto batch = std::make_shared<Batch>();
    std::vector<Dispatched> entries;
    for (const Id id : ids) {
        batch->push_back(notification(id, ledger_.next + batch->size(), world_.now));
        entries.push_back({id, batch->back().fingerprint, {}, false});
    }
    ledger_.advance(entries);
    if (reads_ == Reads::FOR_ALL)
        engine_->publish(DATABASE, event::Publish{batch, 0}, world_.now);
    else if (engine_->give(DATABASE, *batch))
        give_out(*batch);
    carry_out();
}

void SimulatedNode::carry_out() {
    for (Commands commands = engine_->take_commands(); !commands.empty(); commands = engine_->take_commands())
        for (const Command& command : commands)
            carry_out(command);
}

void SimulatedNode::carry_out(const Command& command) {
    const auto stop_reading = [this] {
        reads_ = Reads::NOTHING;
        selected_.reset();
    };
    std::visit(Overloaded{[this](const command::Give& give) {
                              if (give.batch)
                                  give_out(*give.batch);
                          },
                          [this](const command::WaitForLock&) { waits_for_lock_ = true; },
                          [this](const command::Unlock&) {
                              if (world_.table.lock_holder == number_)
                                  world_.table.lock_holder = -1;
                          },
                          // Carried out by who knows the holder.
                          [this](const command::EndHolder&) { wants_holder_ended_ = true; },
                          [this](const command::Lead&) { begin_to_lead(); },
                          [this](const command::ReadTables&) {
                              const auto known = engine_->edge().databases().find(DATABASE);
                              const auto given = known == engine_->edge().databases().end()
                                                     ? std::nullopt
                                                     : known->second.given();
                              ledger_ = given ? *given : adopt();
                              engine_->adopt(DATABASE, ledger_);
                              reads_ = Reads::FOR_ITSELF;
                              read_version_ = UINT64_MAX;
                          },
                          [&](const command::StopLeading&) { stop_reading(); },
                          [&](const command::StopReadingTables&) { stop_reading(); },
                          [this](const auto& to_redis) {
                              if (is_linked_)
                                  to_redis_.emplace_back(to_redis);
                          }},
               command);
}

void SimulatedNode::begin_to_lead() {
    reads_ = Reads::FOR_ALL;
    read_version_ = UINT64_MAX;
    const auto known = engine_->edge().databases().find(DATABASE);
    const bool is_known = known != engine_->edge().databases().end();
    const std::optional<Checkpoint> from = is_known ? known->second.lead_from() : std::nullopt;
    ledger_ = from ? *from : adopt();
    if (!is_known || !known->second.ledger())
        engine_->publish(DATABASE, event::Begin{}, world_.now);
    engine_->announce(DATABASE, ledger_, world_.now);
}

// What is in the table now will not be in the history.
Checkpoint SimulatedNode::adopt() {
    is_complete_ &= world_.table.committed().empty();
    return world_.table.adopt();
}

void SimulatedNode::give_out(const Batch& batch) {
    for (const Notification& notification : batch) {
        history_.push_back({notification.id, world_.now});
        places_.resize(std::max(places_.size(), static_cast<size_t>(notification.id) + 1));
        places_[static_cast<size_t>(notification.id)] = history_.size();
    }
}

std::optional<size_t> SimulatedNode::place_after(Id id) const {
    const auto index = static_cast<size_t>(id);
    if (index >= places_.size() || places_[index] == 0)
        return std::nullopt;
    return places_[index];
}

bool SimulatedNode::has_passed(Id id) const {
    const auto known = engine_->edge().databases().find(DATABASE);
    const auto given = known == engine_->edge().databases().end() ? std::nullopt : known->second.given();
    return given && has_decided(*given, id);
}

bool SimulatedNode::is_quiet() const {
    return engine_->edge().state() == Edge::State::COMMON && engine_->edge().applied() == world_.redis.head();
}

} // namespace odoo_bus
