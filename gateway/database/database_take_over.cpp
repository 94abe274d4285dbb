// One process of a gateway takes over from another: what one of its databases is, and where it goes on.
#include <spdlog/fmt/fmt.h>

#include "base/clock.h"
#include "base/log.h"
#include "database/database.h"

namespace odoo_bus {

using Type = TakeOverMessage::Type;

// --- the process that is taken over ---

void Database::describe(const Send& send) const {
    if (!known_)
        return;
    if (outdated_) // its positions are given out, and to no other notification
        return send({.type = Type::begin, .database = settings_.name, .position = history_.head()});
    TakeOverMessage first{.type = Type::begin,
                          .database = settings_.name,
                          .position = history_.oldest() - 1,
                          .adopted_until = adopted_until_,
                          .newest = newest(),
                          .settled = history_.settled()};
    for (const Position lost : history_.lost())
        first.numbers.push_back(static_cast<int64_t>(lost));
    send(std::move(first));
    for (const BatchPtr& batch : history_.batches())
        send({.type = Type::kept, .database = settings_.name, .batch = batch});
    send({.type = Type::begun, .database = settings_.name, .flag = running_});
    send({.type = Type::peers, .database = settings_.name, .flag = has_peers_});
}

void Database::freeze(std::function<void()> frozen) {
    frozen_ = std::move(frozen);
    is_frozen_ = true;
    recheck_.stop();
    safety_.stop();
    if (connecting_)
        disconnect(); // whoever goes on begins with that again
    if (!reading_)
        hear_out();
}

// What was notified before the other process listened is heard with this answer: nobody else passes it on.
// Who notifies reads all that was committed before, also what its listeners were not signalled yet.
void Database::hear_out() {
    if (!running_)
        return settle();
    connection_.query("SELECT pg_notify('odoo_bus_heard_out', '')", {}, [this](const PgResult& result) {
        if (!failed(result, "a last answer"))
            settle();
    });
}

// Nothing that was asked is still to be answered.
void Database::settle() {
    if (!frozen_)
        return;
    recheck_.stop();
    safety_.stop();
    retry_.stop();
    if (known_ && running_)
        checkpoint();
    state_.reset(); // the other process is to write it now
    std::exchange(frozen_, nullptr)();
}

void Database::send_ledger(const Send& send) const {
    if (!known_ || outdated_)
        return;
    TableIdentity identity = this->identity();
    if (uncompared_)
        identity.postmaster_start_us = 0; // what this server start has lost is still to be found out
    send({.type = Type::ledger,
          .database = settings_.name,
          .numbers = {peers_until_us_},
          .texts = {encode_ledger({.identity = identity,
                                   .next = history_.head() + 1,
                                   .max_seen = ledger_.max_seen(),
                                   .settled = history_.settled(),
                                   .read_us = microseconds(wall_time_at(read_)),
                                   .gaps = ledger_.gaps(),
                                   .ahead = ahead_})}});
}

void Database::thaw() {
    if (!std::exchange(is_frozen_, false))
        return;
    frozen_ = nullptr;
    if (known_ && !state_)
        open_state();
    if (running_) {
        if (!reading_) // else the cycle will
            checkpoint();
        tick();
    } else if (!connecting_) {
        connect();
    }
}

void Database::retire() {
    is_frozen_ = true;
    frozen_ = nullptr;
    running_ = connecting_ = false;
    connection_.close();
    retry_.stop();
    safety_.stop();
    recheck_.stop();
}

// --- the process that takes over ---

bool Database::follow(const TakeOverMessage& message) {
    switch (message.type) {
    case Type::begin:
        is_followed_ = true;
        beginning_ = message;
        kept_.clear();
        return true;
    case Type::kept:
        if (!message.batch ||
            message.batch->front().position !=
                (kept_.empty() ? beginning_.position + 1 : kept_.back()->back().position + 1))
            return false;
        kept_.push_back(message.batch);
        return true;
    case Type::begun:
        return follow_begun(message.flag);
    case Type::publish:
        if (!message.batch)
            return true;
        if (message.batch->front().position != history_.head() + 1)
            return false;
        history_.append(message.batch);
        observer_.publish(settings_.name, message.batch, history_.trim(MonotonicClock::now()));
        return true;
    case Type::lost: {
        const std::vector<Position> positions(message.numbers.begin(), message.numbers.end());
        history_.lose(positions);
        observer_.lost(settings_.name, positions, message.newest);
        return true;
    }
    case Type::peers:
        observer_.peers(settings_.name, has_peers_ = message.flag);
        return true;
    case Type::let_go:
        let_go();
        return true;
    case Type::ledger: {
        const auto ledger = message.texts.empty() ? std::nullopt : decode_ledger(message.texts.front());
        if (!ledger || ledger->next != history_.head() + 1 || message.numbers.empty())
            return false;
        ledger_.start(ledger->max_seen, ledger->gaps);
        ahead_ = ledger->ahead;
        ahead_cursor_ = ahead_.empty() ? 0 : ahead_.max();
        read_ = monotonic_at(wall_time(ledger->read_us));
        history_.settle_to(ledger->settled);
        peers_until_us_ = std::max(peers_until_us_, message.numbers.front());
        inherited_ = ledger->identity;
        return true;
    }
    default:
        return true; // what users of the other process are concerned with
    }
}

bool Database::follow_begun(bool is_read) {
    is_read_there_ = is_read;
    history_.start(beginning_.position, beginning_.settled);
    for (const BatchPtr& batch : kept_)
        history_.append(batch);
    const std::vector<Position> lost(beginning_.numbers.begin(), beginning_.numbers.end());
    history_.lose(lost);
    adopted_until_ = beginning_.adopted_until;
    observer_.begin(settings_.name, std::exchange(kept_, {}), beginning_.position, beginning_.newest,
                    adopted_until_, false);
    if (!lost.empty())
        observer_.lost(settings_.name, lost, beginning_.newest);
    return true;
}

void Database::take() {
    following_ = false;
    if (!inherited_) {
        history_.start(std::max(history_.head(), beginning_.position), 0);
        if (prepared_)
            begin();
        return;
    }
    known_ = true;
    log::info("database \"{}\": goes on after id {} of {}, with a history of {} notifications",
              settings_.name, ledger_.max_seen(), facts_.table, history_.head() + 1 - history_.oldest());
    open_state();
    if (prepared_)
        go_on_from(*inherited_);
}

// The state file goes on where this process does.
void Database::open_state() {
    if (settings_.state_dir.empty())
        return;
    StateFile::Opened opened =
        StateFile::open(std::filesystem::path(settings_.state_dir) / StateFile::name_of(settings_.name),
                        settings_.state_entries);
    if (!opened.message.empty())
        log::log(opened.file ? log::Level::warning : log::Level::error, "database \"{}\": {}", settings_.name,
                 opened.message);
    state_ = std::move(opened.file);
    if (!state_)
        return;
    const auto& batches = history_.batches();
    const auto& loaded = opened.loaded;
    const bool goes_on = loaded && loaded->ledger.next == history_.head() + 1 &&
                         loaded->ledger.max_seen == ledger_.max_seen() &&
                         (loaded->entries.empty() || batches.empty() ||
                          loaded->entries.back().fingerprint == batches.back()->back().fingerprint);
    if (goes_on)
        return;
    state_->clear(history_.oldest());
    for (const BatchPtr& batch : batches)
        remember(*batch);
}

} // namespace odoo_bus
