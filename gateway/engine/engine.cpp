// One gateway among those that share one order.
#include "engine/engine.h"

#include <algorithm>
#include <utility>

#include "engine/timing.h"

namespace odoo_bus {

Engine::Engine(Settings settings, Edge::Saved saved, Monotonic now)
    : settings_(std::move(settings)), edge_(settings_.history),
      leadership_({.name = settings_.name, .unsent_bytes = settings_.history.bytes}), record_sent_(now),
      common_sent_(now), heard_(now), ticked_(now) {
    edge_.start(std::move(saved), now);
}

void Engine::tick(Monotonic now, uint64_t unix_ms) {
    // What was not heard while this process was stopped says nothing of a leader.
    if (now - std::exchange(ticked_, now) >= timing::STOPPED)
        heard_ = now;
    edge_.trim(now);
    exchange_records(now);
    watch_redis(now);
    follow_or_read(now);
    if (leadership_.is_leading())
        lead(now);
    else if (settings_.may_lead)
        seek_lead(now, unix_ms);
    write(now);
    is_ready_ |= is_reading_tables_ || (writer_.head() && newest_head_ <= edge_.applied() &&
                                        !edge_.databases().empty() && edge_.has_ledgers());
}

// --- Redis ---

void Engine::connected(Monotonic now) {
    redis_ = Redis::ANSWERS;
    connected_since_ = heard_ = now;
    record_sent_ = std::min(record_sent_, now - timing::RECORD_EVERY); // at once
    exchange_records(now);
    writer_.ask_head(commands_);
}

void Engine::disconnected() {
    redis_ = Redis::AWAY;
    writer_.reset();
}

void Engine::reading_timed_out() {
    if (redis_ != Redis::AWAY)
        writer_.ask_head(commands_);
}

void Engine::exchange_records(Monotonic now) {
    if (redis_ != Redis::ANSWERS || now - record_sent_ < timing::RECORD_EVERY)
        return;
    std::optional<EdgeRecord> own;
    if (settings_.may_write)
        own = {.oldest = edge_.log().start(),
               .applied = edge_.applied(),
               .deviation = edge_.deviation(),
               .sent = now,
               .wants_ledger = edge_.wants_ledger(),
               .can_lead = settings_.may_lead && edge_.has_ledgers() && !edge_.databases().empty(),
               .is_to_lead = leadership_.has_lock() && !leadership_.is_leading()};
    commands_.push_back(command::ExchangeRecords{own});
    redis_ = Redis::IS_ASKED;
    record_sent_ = now;
    if (own && !own->deviation.is_open)
        common_sent_ = now;
}

void Engine::records_are(const EdgeTable::Records& records, Monotonic now) {
    table_.see(records, now);
    if (table_.is_any_to_lead(now))
        heard_ = now;
    redis_ = Redis::ANSWERS;
    is_cut_off_ = false;
    follow_or_read(now);
}

// Redis does not answer: who leads goes on in the order that it will append, who does not in one of its own.
void Engine::watch_redis(Monotonic now) {
    if (is_cut_off_ || redis_ == Redis::ANSWERS || now - record_sent_ < timing::LEASE)
        return;
    is_cut_off_ = true;
    if (!leadership_.is_leading()) {
        leadership_.lose_redis();
        if (edge_.state() != Edge::State::LOCAL)
            edge_.go_local(now);
        return;
    }
    for (const EntryPtr& entry : leadership_.unsent())
        apply(entry, now);
}

void Engine::follow_or_read(Monotonic now) {
    if (edge_.state() != Edge::State::LOCAL)
        return;
    if (!is_cut_off_ && edge_.merge()) {
        if (std::exchange(is_reading_tables_, false))
            commands_.push_back(command::StopReadingTables{});
    } else if (!is_reading_tables_ && now - common_sent_ >= timing::LEASE) {
        is_reading_tables_ = true;
        commands_.push_back(command::ReadTables{});
    }
}

void Engine::read(const EntryPtr& entry, Monotonic now) {
    if (edge_.state() == Edge::State::LOCAL)
        return;
    if (leadership_.is_leading() && entry->id.epoch > leadership_.epoch())
        let_lead_go(now);
    for (const EntryPtr& there : leadership_.acknowledge(entry->id))
        apply(there, now);
    if (apply(entry, now))
        leadership_.applied(*entry, commands_);
}

void Engine::head_is(EntryId head, Monotonic now) {
    writer_.head_is(head);
    see_head(head, now);
    for (const EntryPtr& there : leadership_.acknowledge(head))
        apply(there, now);
    writer_.compare(edge_, now);
    if (leadership_.is_leading() && head.epoch > leadership_.epoch())
        let_lead_go(now);
    write(now);
}

// What is not refilled in time is gone: its epoch can be above the next one.
void Engine::see_head(EntryId head, Monotonic now) {
    if (head < newest_head_ && !head_lost_)
        head_lost_ = now;
    if (head < newest_head_ && now - *head_lost_ < timing::PATIENCE)
        return;
    newest_head_ = head;
    head_lost_.reset();
}

void Engine::write(Monotonic now) {
    if (!settings_.may_write)
        return;
    if (leadership_.has_lock())
        writer_.write(edge_, leadership_.unsent(), StreamWriter::Right::REPLACE, commands_);
    else if (writer_.short_since() && now - *writer_.short_since() >= timing::REFILL_AFTER)
        writer_.write(edge_, {}, StreamWriter::Right::REFILL, commands_);
}

bool Engine::apply(const EntryPtr& entry, Monotonic now) {
    Edge::Outcome outcome = edge_.apply(entry, now, leadership_.is_leading());
    if (outcome.verdict != Edge::Verdict::APPLIED)
        return false;
    heard_ = now;
    commands_.push_back(command::Give{.entry = entry, .batch = std::move(outcome.given)});
    return true;
}

// --- leading ---

void Engine::seek_lead(Monotonic now, uint64_t unix_ms) {
    if (leadership_.phase() == Leadership::Phase::NONE && now >= seek_at_)
        leadership_.wait_for_lock(commands_);
    if (leadership_.phase() == Leadership::Phase::WAITING && redis_ != Redis::AWAY && !is_cut_off_ &&
        now - heard_ >= timing::SILENT && now - ended_holder_at_ >= timing::SILENT) {
        ended_holder_at_ = now;
        commands_.push_back(command::EndHolder{});
    }
    if (leadership_.phase() != Leadership::Phase::CHECKING)
        return;
    EdgeTable::Newest others = table_.newest(settings_.name, now);
    others.applied = std::max(others.applied, newest_head_);
    leadership_.check({.edge = edge_,
                       .writer = writer_,
                       .others = others,
                       .connected_since = connected_since_,
                       .now = now,
                       .unix_ms = unix_ms},
                      commands_);
    if (leadership_.phase() == Leadership::Phase::NONE)
        seek_at_ = now + timing::HEARTBEAT;
    if (leadership_.phase() == Leadership::Phase::CHECKING)
        reading_timed_out(); // the head may have moved
}

void Engine::locked(Monotonic now) {
    leadership_.locked(now);
    announcers_.clear();
    reading_timed_out();
}

void Engine::lock_lost(Monotonic now) {
    if (leadership_.phase() != Leadership::Phase::NONE)
        step_down(now);
}

void Engine::lead(Monotonic now) {
    if (leadership_.is_overfull())
        let_lead_go(now);
    else if (!is_cut_off_ && leadership_.is_silent(now))
        append({}, entry::Heartbeat{}, now);
}

void Engine::let_lead_go(Monotonic now) {
    commands_.push_back(command::Unlock{});
    step_down(now);
}

// What clients here were told, and Redis does not have, is in the edge's log: it is appended by who refills,
// unless another leader has gone on without it, which the edge sees as a fork.
void Engine::step_down(Monotonic now) {
    leadership_.resign(commands_);
    seek_at_ = now + timing::HEARTBEAT;
    if (is_cut_off_ && edge_.state() != Edge::State::LOCAL)
        edge_.go_local(now);
}

void Engine::append(std::string database, EntryEvent event, Monotonic now) {
    const EntryPtr entry = leadership_.make(std::move(database), std::move(event), now);
    if (is_cut_off_)
        apply(entry, now);
    write(now);
}

bool Engine::publish(const std::string& database, DatabaseEvent event, Monotonic now) {
    if (!leadership_.is_leading())
        return false;
    if (std::holds_alternative<event::Begin>(event))
        announcers_.erase(database);
    if (const auto* const publish = std::get_if<event::Publish>(&event); publish && publish->batch)
        announcers_.try_emplace(database, settings_.history.age).first->second.published(*publish->batch);
    append(database, std::move(event), now);
    return true;
}

void Engine::announce(const std::string& database, const Checkpoint& ledger, Monotonic now) {
    if (!leadership_.is_leading())
        return;
    LedgerAnnouncer& announcer = announcers_.try_emplace(database, settings_.history.age).first->second;
    if (auto change = announcer.next(ledger, table_.wants_ledger(now), now))
        append(database, std::move(*change), now);
}

// --- without the stream ---

bool Engine::give(const std::string& database, const Batch& batch) {
    if (!is_reading_tables_)
        return false;
    edge_.give(database, batch);
    return true;
}

void Engine::adopt(const std::string& database, const Checkpoint& ledger) {
    if (is_reading_tables_)
        edge_.adopt(database, ledger);
}

void Engine::tables_read() {
    if (is_reading_tables_)
        edge_.tables_read();
}

LastDecision Engine::judge_last(const std::string& database, Id last, const std::string& former,
                                std::optional<EntryId> head, Duration waited, Monotonic now) const {
    return odoo_bus::judge_last(edge_, {.published = edge_.log().published_in(database, last),
                                        .head = head,
                                        .former = table_.find(former),
                                        .is_former_fresh = table_.is_fresh(former, now),
                                        .is_former_gone = table_.is_gone(former, now),
                                        .waited = waited});
}

} // namespace odoo_bus
