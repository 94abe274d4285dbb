// One process of a gateway takes over from another: how the readers of both do it (database_thread.h).
#include <utility>
#include <variant>

#include <spdlog/fmt/fmt.h>

#include "base/log.h"
#include "config/database_pattern.h"
#include "database/database_thread.h"
#include "postgres/conninfo.h"

namespace odoo_bus {

namespace {

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
        const auto send = [this](take_over::OfDatabase message) { link_->send(std::move(message)); };
        for (const auto& [name, database] : databases_)
            database->describe(send);
        link_->send(take_over::Described{});
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
    const auto send = [this](take_over::OfDatabase message) { link_->send(std::move(message)); };
    for (const auto& [name, database] : databases_)
        database->send_ledger(send);
    link_->send(take_over::Go{.relays_to_hub = hub_ && hub_->relays()});
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
    link_->send(take_over::Prepared{});
}

void DatabaseThread::take() {
    if (!link_->send_decision(take_over::Taken{}))
        return end_take_over("the former process has ended, or does not wait any longer");
    role_ = Role::leading;
    for (const auto& [name, database] : databases_)
        database->take();
    take_over_.taken();
}

void DatabaseThread::follow(const take_over::OfDatabase& message) {
    const std::string& name = message.database;
    const auto* const event = std::get_if<DatabaseEvent>(&message.what);
    if (event && std::holds_alternative<event::Forget>(*event)) {
        databases_.erase(name);
        return observer_.on_event(name, *event);
    }
    std::string wrong;
    if (event && std::holds_alternative<event::Begin>(*event) && finds() &&
        DatabasePattern::parse(options_.database_match, wrong)->matches(name))
        serve(name, with_database(options_.databases.front(), name));
    const auto it = databases_.find(name);
    if (it != databases_.end() && !it->second->follow(message.what))
        end_take_over("what the former process tells does not fit together");
}

void DatabaseThread::on_message_of_predecessor(const TakeOverMessage& message) {
    if (const auto* const of_database = std::get_if<take_over::OfDatabase>(&message)) {
        follow(*of_database);
    } else if (std::holds_alternative<take_over::Described>(message)) {
        described_ = true;
        check_prepared();
    } else if (const auto* const go = std::get_if<take_over::Go>(&message)) {
        if (hub_)
            hub_->succeed(go->relays_to_hub);
        take();
    } else {
        take_over_.inherit(message);
    }
}

// --- both ---

void DatabaseThread::open_link() {
    link_ = std::make_unique<TakeOverLink>(
        loop_.uv(), std::exchange(link_socket_, -1),
        [this](const TakeOverMessage& message) { on_message(message); }, [this] { on_link_end(); });
}

void DatabaseThread::on_message(const TakeOverMessage& message) {
    switch (role_) {
    case Role::giving:
        if (std::holds_alternative<take_over::Prepared>(message) && why_.empty())
            freeze();
        return;
    case Role::frozen:
        if (std::holds_alternative<take_over::Taken>(message))
            taken_by_successor();
        return;
    case Role::following:
        return on_message_of_predecessor(message);
    case Role::leading:
        return take_over_.inherit(message);
    case Role::given:
        if (const auto* const of_database = std::get_if<take_over::OfDatabase>(&message)) {
            if (const auto* const event = std::get_if<DatabaseEvent>(&of_database->what))
                observer_.on_event(of_database->database, *event);
        } else {
            take_over_.inherit(message);
        }
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

// The own clients come first (database_thread.h, 1).
void DatabaseThread::on_event(const std::string& database, const DatabaseEvent& event) {
    observer_.on_event(database, event);
    // What is dispatched before the freeze has ended belongs to the history of the other process, too.
    if (role_ == Role::giving || role_ == Role::frozen || role_ == Role::leading)
        tell_follower(database, event);
}

void DatabaseThread::tell_follower(const std::string& database, const DatabaseEvent& event) {
    const auto* const begin = std::get_if<event::Begin>(&event);
    if (!begin)
        return send(take_over::OfDatabase{database, event});
    event::Begin first = *begin;
    first.kept.clear();
    if (role_ == Role::leading) {
        // A process that is being drained is told only where positions go on: nobody begins there.
        if (!begin->kept.empty())
            first.head = begin->kept.back()->back().position;
        return send(take_over::OfDatabase{database, first});
    }
    send(take_over::OfDatabase{database, first});
    for (const BatchPtr& batch : begin->kept)
        send(take_over::OfDatabase{database, take_over::Kept{batch}});
    send(take_over::OfDatabase{database, take_over::Begun{.is_read = true}});
}

void DatabaseThread::send(TakeOverMessage message) {
    if (!link_)
        return;
    link_->send(std::move(message));
    if (role_ == Role::leading && link_->waiting() > MAX_WAITING) {
        log::warning("the former process does not take what it is told: its clients come back");
        role_ = Role::alone;
        link_.reset();
        take_over_.left();
    }
}

} // namespace odoo_bus
