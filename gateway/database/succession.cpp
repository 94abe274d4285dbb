// One process of a gateway takes over from another.
#include "database/succession.h"

#include <utility>
#include <variant>

#include "base/log.h"

namespace odoo_bus {

namespace {

// Nothing is delivered from the freeze to the take-over: a process that takes longer for it is ended.
constexpr uint64_t FROZEN_MS = 10'000;

} // namespace

// --- the process that is taken over ---

void Succession::hand_over(int socket, Handlers handlers, std::chrono::milliseconds within) {
    loop_.post([this, socket, within, handlers = std::move(handlers)] {
        role_ = Role::giving;
        why_.clear();
        handlers_ = handlers;
        link_socket_ = socket;
        open_link();
        databases_.describe([this](take_over::OfDatabase message) { link_->send(std::move(message)); });
        link_->send(take_over::Described{});
        open_feed(true);
        deadline_ = std::make_unique<Timer>(loop_.uv());
        deadline_->start(static_cast<uint64_t>(within.count()), [this] {
            end_successor("the new process did not become ready in time (--take-over-timeout)");
        });
    });
}

void Succession::on_message_of_successor(const TakeOverMessage& message) {
    if (role_ == Role::giving && std::holds_alternative<take_over::Prepared>(message) && why_.empty())
        freeze();
    else if (role_ == Role::frozen && std::holds_alternative<take_over::Taken>(message))
        taken_by_successor();
}

// What is dispatched before the freeze has ended belongs to the history of the other process, too.
void Succession::freeze() {
    role_ = Role::frozen;
    deadline_->start(FROZEN_MS,
                     [this] { end_successor("the new process was ready, and did not take over"); });
    freezing_ = 2;
    const auto frozen = [this, attempt = ++attempt_] {
        if (role_ == Role::frozen && attempt == attempt_ && --freezing_ == 0)
            go();
    };
    handlers_.hand_over([this, frozen] { loop_.post(frozen); });
    databases_.freeze(frozen);
}

void Succession::go() {
    databases_.send_ledgers([this](take_over::OfDatabase message) { link_->send(std::move(message)); });
    link_->send(take_over::Go{.relays_to_hub = databases_.relays_to_hub()});
}

void Succession::taken_by_successor() {
    role_ = Role::given;
    deadline_.reset();
    close_feed();
    databases_.retire();
    handlers_.taken();
}

// It may be taking over at this moment: what it has said until now decides.
void Succession::end_successor(const std::string& why) {
    why_ = why;
    link_->hear_no_more();
}

void Succession::tell_successor(TakeOverMessage message) {
    loop_.post([this, message = std::move(message)] {
        if (link_ && (role_ == Role::frozen || role_ == Role::given))
            link_->send(message);
    });
}

// --- the process that takes over ---

void Succession::succeed(int socket, Handlers handlers) {
    role_ = Role::following;
    link_socket_ = socket;
    handlers_ = std::move(handlers);
    databases_.follow([this] { check_prepared(); });
}

void Succession::start() {
    if (link_socket_ >= 0)
        open_link();
}

void Succession::on_message_of_predecessor(const TakeOverMessage& message) {
    if (const auto* const of_database = std::get_if<take_over::OfDatabase>(&message)) {
        if (!databases_.follow(*of_database))
            fail("what the former process tells does not fit together");
    } else if (std::holds_alternative<take_over::Described>(message)) {
        described_ = true;
        check_prepared();
    } else if (const auto* const go = std::get_if<take_over::Go>(&message)) {
        take(*go);
    } else {
        handlers_.inherit(message);
    }
}

void Succession::check_prepared() {
    if (role_ != Role::following || !described_ || prepared_ || !databases_.is_prepared())
        return;
    prepared_ = true;
    link_->send(take_over::Prepared{});
}

void Succession::take(const take_over::Go& go) {
    databases_.succeed_hub(go.relays_to_hub);
    if (!link_->send_decision(take_over::Taken{}))
        return fail("the former process has ended, or does not wait any longer");
    role_ = Role::leading;
    open_feed(false);
    databases_.take();
    handlers_.taken();
}

// Before it is said: the line is what an administrator waits for before the next take-over.
void Succession::leave_predecessor() {
    role_ = Role::alone;
    close_link();
    handlers_.left();
}

// --- both ---

void Succession::on_event(const std::string& database, const DatabaseEvent& event) {
    feed_->tell(database, event);
    if (role_ == Role::leading && feed_->is_overfull()) {
        log::warning("the former process does not take what it is told: its clients come back");
        leave_predecessor();
    }
}

void Succession::open_feed(bool keeps_history) {
    feed_.emplace(*link_, keeps_history);
    observers_.add(*this);
}

void Succession::close_feed() {
    observers_.remove(*this);
    feed_.reset();
}

void Succession::open_link() {
    link_ = std::make_unique<TakeOverLink>(
        loop_.uv(), std::exchange(link_socket_, -1),
        [this](const TakeOverMessage& message) { on_message(message); }, [this] { on_link_end(); });
}

void Succession::close_link() {
    close_feed();
    link_.reset();
}

void Succession::stop() {
    close_link();
    deadline_.reset();
}

void Succession::on_message(const TakeOverMessage& message) {
    switch (role_) {
    case Role::giving:
    case Role::frozen:
        return on_message_of_successor(message);
    case Role::following:
        return on_message_of_predecessor(message);
    case Role::leading:
        return handlers_.inherit(message);
    case Role::given:
        if (const auto* const of_database = std::get_if<take_over::OfDatabase>(&message)) {
            if (const auto* const event = std::get_if<DatabaseEvent>(&of_database->what))
                clients_.on_event(of_database->database, *event);
        } else {
            handlers_.inherit(message);
        }
        return;
    case Role::alone:
    case Role::over:
        return;
    }
}

void Succession::on_link_end() {
    switch (role_) {
    case Role::giving:
    case Role::frozen:
        return fail(why_.empty() ? "the new process has ended before it took over" : why_);
    case Role::following:
        return fail("the former process has ended, or gives up");
    case Role::given:
        role_ = Role::over;
        close_link();
        return handlers_.failed("the process that has taken over has ended");
    case Role::leading:
        leave_predecessor();
        return log::info("the former process has ended");
    case Role::alone:
    case Role::over:
        return;
    }
}

// No client has seen anything of the other process, so this one goes on; or it was to take over, and cannot.
void Succession::fail(const std::string& why) {
    const bool is_successor = role_ == Role::following;
    deadline_.reset();
    close_link();
    role_ = is_successor ? Role::over : Role::alone;
    if (!is_successor)
        databases_.thaw();
    handlers_.failed(why);
}

} // namespace odoo_bus
