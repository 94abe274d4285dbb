// One process of a gateway takes over from another: how the readers of both do it (database_thread.h).
#include <utility>

#include <spdlog/fmt/fmt.h>

#include "base/log.h"
#include "config/database_pattern.h"
#include "database/database_thread.h"
#include "postgres/conninfo.h"

namespace odoo_bus {

namespace {

using Type = TakeOverMessage::Type;

// Nothing is delivered from the freeze to the take-over: a process that takes longer for it is ended.
constexpr uint64_t FROZEN_MS = 10'000;

// A former process that does not take what it is told is left alone: its clients come back.
constexpr size_t MAX_WAITING = 64 << 20;

} // namespace

// --- the process that is taken over ---

void DatabaseThread::hand_over(int socket, TakeOver take_over, std::chrono::milliseconds within) {
    loop_.post([this, socket, within, take_over = std::move(take_over)] {
        role_ = Role::giving;
        why_.clear();
        take_over_ = take_over;
        link_socket_ = socket;
        open_link();
        const auto send = [this](TakeOverMessage message) { link_->send(std::move(message)); };
        for (const auto& [name, database] : databases_)
            database->describe(send);
        link_->send({.type = Type::described});
        deadline_ = std::make_unique<Timer>(loop_.uv());
        deadline_->start(static_cast<uint64_t>(within.count()), [this] {
            end_successor("the new process did not become ready in time (--take-over-timeout)");
        });
    });
}

void DatabaseThread::freeze() {
    role_ = Role::frozen;
    deadline_->start(FROZEN_MS,
                     [this] { end_successor("the new process was ready, and did not take over"); });
    watch_.reset(); // no database comes or goes
    freezing_ = databases_.size() + 1;
    const auto frozen = [this, attempt = ++attempt_] {
        if (role_ == Role::frozen && attempt == attempt_ && --freezing_ == 0)
            go();
    };
    take_over_.hand_over([this, frozen] { loop_.post(frozen); });
    for (const auto& [name, database] : databases_)
        database->freeze(frozen);
}

void DatabaseThread::go() {
    const auto send = [this](TakeOverMessage message) { link_->send(std::move(message)); };
    for (const auto& [name, database] : databases_)
        database->send_ledger(send);
    link_->send({.type = Type::go, .flag = hub_ && hub_->relays()});
}

void DatabaseThread::taken_by_successor() {
    role_ = Role::given;
    deadline_.reset();
    for (const auto& [name, database] : databases_)
        database->retire();
    if (hub_)
        hub_->retire();
    take_over_.taken();
}

// It may be taking over at this moment: what it has said until now decides.
void DatabaseThread::end_successor(const std::string& why) {
    why_ = why;
    link_->hear_no_more();
}

// Nobody has seen anything of the other process, so this one goes on; or it was to take over, and cannot.
void DatabaseThread::end_take_over(const std::string& why) {
    const bool is_successor = role_ == Role::following;
    deadline_.reset();
    link_.reset();
    role_ = is_successor ? Role::over : Role::alone;
    if (!is_successor)
        for (const auto& [name, database] : databases_)
            database->thaw();
    if (!is_successor && finds() && !watch_)
        watch_databases();
    take_over_.failed(why);
}

void DatabaseThread::tell_successor(TakeOverMessage message) {
    loop_.post([this, message = std::move(message)] {
        if (link_ && (role_ == Role::frozen || role_ == Role::given))
            link_->send(message);
    });
}

// --- the process that takes over ---

void DatabaseThread::succeed(int socket, TakeOver take_over) {
    role_ = Role::following;
    link_socket_ = socket;
    take_over_ = std::move(take_over);
}

void DatabaseThread::check_prepared() {
    if (role_ != Role::following || !described_ || prepared_)
        return;
    for (const auto& [name, database] : databases_)
        if (database->must_be_prepared() && !database->is_prepared())
            return;
    prepared_ = true;
    link_->send({.type = Type::prepared});
}

void DatabaseThread::take() {
    if (!link_->send_decision({.type = Type::taken}))
        return end_take_over("the former process has ended, or does not wait any longer");
    role_ = Role::leading;
    for (const auto& [name, database] : databases_)
        database->take();
    take_over_.taken();
}

void DatabaseThread::follow(const TakeOverMessage& message) {
    if (message.type == Type::forget) {
        databases_.erase(message.database);
        return observer_.forget(message.database);
    }
    std::string wrong;
    if (message.type == Type::begin && finds() &&
        DatabasePattern::parse(options_.database_match, wrong)->matches(message.database))
        serve(message.database, with_database(options_.databases.front(), message.database));
    const auto it = databases_.find(message.database);
    if (it != databases_.end() && !it->second->follow(message))
        end_take_over("what the former process tells does not fit together");
}

// --- both ---

void DatabaseThread::open_link() {
    link_ = std::make_unique<TakeOverLink>(
        loop_.uv(), std::exchange(link_socket_, -1),
        [this](const TakeOverMessage& message) { on_message(message); }, [this] { on_link_end(); });
}

void DatabaseThread::on_message(const TakeOverMessage& message) {
    const bool is_history = message.type <= Type::ledger;
    switch (role_) {
    case Role::giving:
        if (message.type == Type::prepared && why_.empty())
            freeze();
        return;
    case Role::frozen:
        if (message.type == Type::taken)
            taken_by_successor();
        return;
    case Role::following:
        if (is_history) {
            follow(message);
        } else if (message.type == Type::described) {
            described_ = true;
            check_prepared();
        } else if (message.type == Type::go) {
            if (hub_)
                hub_->succeed(message.flag);
            take();
        } else {
            take_over_.inherit(message);
        }
        return;
    case Role::leading:
        return take_over_.inherit(message);
    case Role::given:
        if (!is_history)
            take_over_.inherit(message);
        else if (message.type == Type::begin)
            observer_.begin(message.database, {}, message.position, message.newest, message.adopted_until,
                            message.flag);
        else if (message.type == Type::publish)
            observer_.publish(message.database, message.batch, message.position);
        else if (message.type == Type::lost)
            observer_.lost(message.database, {message.numbers.begin(), message.numbers.end()},
                           message.newest);
        else if (message.type == Type::users)
            observer_.users_changed(message.database, {message.numbers.begin(), message.numbers.end()});
        else if (message.type == Type::peers)
            observer_.peers(message.database, message.flag);
        else if (message.type == Type::expect)
            observer_.expect(message.database);
        else if (message.type == Type::let_go)
            observer_.let_go(message.database);
        else if (message.type == Type::forget)
            observer_.forget(message.database);
        return;
    case Role::alone:
    case Role::over:
        return;
    }
}

void DatabaseThread::on_link_end() {
    switch (role_) {
    case Role::giving:
    case Role::frozen:
        return end_take_over(why_.empty() ? "the new process has ended before it took over" : why_);
    case Role::following:
        return end_take_over("the former process has ended, or gives up");
    case Role::given:
        role_ = Role::over;
        link_.reset();
        return take_over_.failed("the process that has taken over has ended");
    case Role::leading:
        role_ = Role::alone;
        link_.reset();
        take_over_.left(); // before it is said: whoever reads it may start the next one
        log::info("the former process has ended");
        return;
    case Role::alone:
    case Role::over:
        return;
    }
}

// --- what databases tell ---

void DatabaseThread::tell_follower(TakeOverMessage message) {
    // What is dispatched before the freeze has ended belongs to the history of the other process, too.
    const bool is_followed = role_ == Role::giving || role_ == Role::frozen || role_ == Role::leading;
    if (!link_ || !is_followed)
        return;
    link_->send(std::move(message));
    if (role_ == Role::leading && link_->waiting() > MAX_WAITING) {
        log::warning("the former process does not take what it is told: its clients come back");
        role_ = Role::alone;
        link_.reset();
        take_over_.left();
    }
}

// In each of these the own clients come first (database_thread.h, 1).
void DatabaseThread::expect(const std::string& database) {
    observer_.expect(database);
    tell_follower({.type = Type::expect, .database = database});
}

void DatabaseThread::begin(const std::string& database, std::vector<BatchPtr> kept, Position head, Id newest,
                           Position adopted_until, bool missed) {
    observer_.begin(database, kept, head, newest, adopted_until, missed);
    // A process that is being drained is told only where positions go on: nobody begins there.
    const bool is_drained = role_ == Role::leading;
    tell_follower({.type = Type::begin,
                   .database = database,
                   .position = is_drained && !kept.empty() ? kept.back()->back().position : head,
                   .adopted_until = adopted_until,
                   .newest = newest,
                   .flag = missed});
    if (is_drained)
        return;
    for (const BatchPtr& batch : kept)
        tell_follower({.type = Type::kept, .database = database, .batch = batch});
    tell_follower({.type = Type::begun, .database = database, .flag = true});
}

void DatabaseThread::publish(const std::string& database, BatchPtr batch, Position keep_from) {
    observer_.publish(database, batch, keep_from);
    tell_follower(
        {.type = Type::publish, .database = database, .batch = std::move(batch), .position = keep_from});
}

void DatabaseThread::lost(const std::string& database, std::vector<Position> positions, Id newest) {
    observer_.lost(database, positions, newest);
    tell_follower({.type = Type::lost,
                   .database = database,
                   .newest = newest,
                   .numbers = {positions.begin(), positions.end()}});
}

void DatabaseThread::users_changed(const std::string& database, const std::set<int64_t>& partners) {
    observer_.users_changed(database, partners);
    tell_follower({.type = Type::users, .database = database, .numbers = {partners.begin(), partners.end()}});
}

void DatabaseThread::let_go(const std::string& database) {
    observer_.let_go(database);
    tell_follower({.type = Type::let_go, .database = database});
}

void DatabaseThread::forget(const std::string& database) {
    observer_.forget(database);
    tell_follower({.type = Type::forget, .database = database});
}

void DatabaseThread::peers(const std::string& database, bool has_peers) {
    observer_.peers(database, has_peers);
    tell_follower({.type = Type::peers, .database = database, .flag = has_peers});
}

} // namespace odoo_bus
