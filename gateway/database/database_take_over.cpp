// One process of a gateway takes over from another: what one of its databases is, and where it goes on.
#include <spdlog/fmt/fmt.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/overloaded.h"
#include "database/database.h"

namespace odoo_bus {

// --- the process that is taken over ---

void Database::describe(const Send& send_message) const {
    if (!known_)
        return;
    const auto send = [&](take_over::OfDatabase::What what) {
        send_message({settings_.name, std::move(what)});
    };
    if (outdated_) // its positions are given out, and to no other notification
        return send(event::Begin{.head = history_.head()});
    send(event::Begin{
        .head = history_.oldest() - 1, .newest = cycle_.newest(), .adopted_until = adopted_until_});
    for (const BatchPtr& batch : history_.batches())
        send(take_over::Kept{batch});
    const auto& lost = history_.lost();
    send(take_over::Begun{
        .is_read = running_, .settled = history_.settled(), .lost = {lost.begin(), lost.end()}});
    send(event::Peers{has_peers_});
}

void Database::freeze(std::function<void()> frozen) {
    frozen_ = std::move(frozen);
    is_frozen_ = true;
    recheck_.stop();
    safety_.stop();
    if (connecting_)
        disconnect(); // whoever goes on begins with that again
    if (!cycle_.is_under_way())
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
        identity.postmaster_start = {}; // what this server start has lost is still to be found out
    const Duration peers_for = std::max(Duration(0), peers_until_ - MonotonicClock::now());
    send({settings_.name, take_over::LeftOff{.ledger = {.identity = identity,
                                                        .next = history_.head() + 1,
                                                        .max_seen = cycle_.ledger().max_seen(),
                                                        .settled = history_.settled(),
                                                        .read = wall_time_at(read_),
                                                        .gaps = cycle_.ledger().gaps(),
                                                        .ahead = cycle_.chosen()},
                                             .peers_for = peers_for}});
}

void Database::thaw() {
    if (!std::exchange(is_frozen_, false))
        return;
    frozen_ = nullptr;
    if (known_ && !state_)
        open_state();
    if (running_) {
        if (!cycle_.is_under_way()) // else the cycle will
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

bool Database::follow(const take_over::OfDatabase::What& message) {
    return std::visit(
        Overloaded{[this](const DatabaseEvent& event) { return follow_event(event); },
                   [this](const take_over::Kept& kept) { return follow_kept(kept.batch); },
                   [this](const take_over::Begun& begun) { return follow_begun(begun); },
                   [this](const take_over::LeftOff& left_off) { return follow_left_off(left_off); }},
        message);
}

bool Database::follow_event(const DatabaseEvent& event) {
    if (const auto* const begin = std::get_if<event::Begin>(&event)) {
        is_followed_ = true;
        beginning_ = *begin;
        kept_.clear();
    } else if (const auto* const publish = std::get_if<event::Publish>(&event)) {
        return follow_publish(*publish);
    } else if (const auto* const lost = std::get_if<event::Lost>(&event)) {
        history_.lose(lost->positions);
        tell(event);
    } else if (const auto* const peers = std::get_if<event::Peers>(&event)) {
        has_peers_ = peers->exist;
        tell(event);
    } else if (std::holds_alternative<event::LetGo>(event)) {
        let_go();
    }
    // The others concern the clients of the other process.
    return true;
}

bool Database::follow_publish(const event::Publish& publish) {
    if (!publish.batch)
        return true;
    if (publish.batch->front().position != history_.head() + 1)
        return false;
    history_.append(publish.batch);
    tell(event::Publish{publish.batch, history_.trim(MonotonicClock::now())});
    return true;
}

bool Database::follow_kept(const BatchPtr& batch) {
    const Position head = kept_.empty() ? beginning_.head : kept_.back()->back().position;
    if (!batch || batch->front().position != head + 1)
        return false;
    kept_.push_back(batch);
    return true;
}

bool Database::follow_begun(const take_over::Begun& begun) {
    is_read_there_ = begun.is_read;
    history_.start(beginning_.head, begun.settled);
    for (const BatchPtr& batch : kept_)
        history_.append(batch);
    history_.lose(begun.lost);
    adopted_until_ = beginning_.adopted_until;
    tell(event::Begin{.kept = std::exchange(kept_, {}),
                      .head = beginning_.head,
                      .newest = beginning_.newest,
                      .adopted_until = adopted_until_});
    if (!begun.lost.empty())
        tell(event::Lost{begun.lost, beginning_.newest});
    return true;
}

bool Database::follow_left_off(const take_over::LeftOff& left_off) {
    const Checkpoint& ledger = left_off.ledger;
    if (ledger.next != history_.head() + 1)
        return false;
    cycle_.start(ledger.max_seen, ledger.gaps, ledger.ahead);
    read_ = monotonic_at(ledger.read);
    history_.settle_to(ledger.settled);
    peers_until_ = std::max(peers_until_, MonotonicClock::now() + left_off.peers_for);
    inherited_ = ledger.identity;
    return true;
}

void Database::take() {
    following_ = false;
    if (!inherited_) {
        history_.start(std::max(history_.head(), beginning_.head), 0);
        if (prepared_)
            begin();
        return;
    }
    known_ = true;
    log::info("database \"{}\": goes on after id {} of {}, with a history of {} notifications",
              settings_.name, cycle_.ledger().max_seen(), facts_.table,
              history_.head() + 1 - history_.oldest());
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
                         loaded->ledger.max_seen == cycle_.ledger().max_seen() &&
                         (loaded->entries.empty() || batches.empty() ||
                          loaded->entries.back().fingerprint == batches.back()->back().fingerprint);
    if (goes_on)
        return;
    state_->clear(history_.oldest());
    for (const BatchPtr& batch : batches)
        remember(*batch);
}

} // namespace odoo_bus
