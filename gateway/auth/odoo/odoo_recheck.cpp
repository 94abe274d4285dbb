// Re-checks of grants.
#include "auth/odoo/odoo_recheck.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "auth/odoo/odoo_refusals.h"
#include "base/clock.h"
#include "base/keyed_hash.h"
#include "metrics/metrics.h"
#include "protocol/close_codes.h"

namespace odoo_bus {

namespace {

const metrics::Counter rechecks("odoo_bus_rechecks_total", "Re-checks of grants by Odoo.");
const metrics::Family
    unchecked("odoo_bus_longest_unchecked_seconds",
              "Age of the oldest grant by which something was delivered since its last check.",
              metrics::Type::gauge);

// A grant that Odoo refuses to confirm is asked about again once before it is revoked: the refusal may have
// been a conflict between transactions.
constexpr unsigned REFUSALS = 2;
constexpr Duration SOON = std::chrono::seconds(5);
constexpr Duration MEASURE = std::chrono::seconds(1);

double seconds(Duration duration) {
    return std::chrono::duration<double>(duration).count();
}

// Whether every personal channel of a grant is in an answer to another question of the same session.
bool covers(const Grant& answer, const Grant& grant) {
    const KeyedSet<std::string_view> granted(answer.channels.begin(), answer.channels.end());
    for (size_t i = 0; i < grant.channels.size(); ++i)
        if ((grant.personal.empty() || grant.personal[i]) && !granted.contains(grant.channels[i]))
            return false;
    return answer.database == grant.database;
}

} // namespace

void OdooRecheck::retire() {
    retired_ = true;
    for (const EntryPtr& entry : std::exchange(awaited_, {}))
        grants_.close(*entry, come_back());
}

void OdooRecheck::refill(Monotonic now) {
    allowance_ = std::min(burst(), allowance_ + options_.recheck_rate * seconds(now - refilled_));
    refilled_ = now;
}

void OdooRecheck::tick(Monotonic now) {
    refill(now);
    ask_awaited(now);
    // Half of the burst is kept for those for which notifications wait.
    const double needed = std::min(burst(), 1 + burst() / 2);
    while (allowance_ >= needed) {
        const EntryPtr entry = grants_.next_due(now, options_.recheck_interval);
        if (!entry)
            break;
        allowance_ -= 1;
        if (retired_)
            grants_.close(*entry, come_back());
        else
            ask(entry, OdooQueue::Priority::background);
    }
    if (now - measured_ < MEASURE)
        return;
    measured_ = now;
    unchecked.with().set(seconds(grants_.longest_unchecked(now)));
}

// --- those for which notifications wait ---

Monotonic OdooRecheck::confirmed_until(const OdooSubject& subject, Monotonic asked) const {
    // Visitors without a session and without a guest have nothing that could end.
    const bool is_anyone = subject.identity.is_public && subject.identity.guest_channel.empty();
    return is_anyone || odoo_.shows_logouts() ? Monotonic::max() : asked + options_.recheck_interval;
}

void OdooRecheck::confirm(const std::shared_ptr<ConnectionLink>& link, Monotonic now) {
    const EntryPtr entry = grants_.find(link);
    if (!entry || entry->closed)
        return; // the connection has ended, or will
    if (retired_)
        return link->take_back(come_back());
    const Monotonic until = confirmed_until(entry->subject, entry->confirmed);
    if (now < until)
        return link->confirm(until); // meanwhile
    const auto other = grants_.find_other(*entry, [&](const GrantTable::Entry& each) {
        return now < confirmed_until(each.subject, each.asked) && covers(*each.grant, *entry->grant);
    });
    if (other)
        return confirm_by(*other, *entry);
    refill(now);
    if (!odoo_.answers() || !await(entry, now))
        return link->unconfirmed();
    ask_awaited(now);
}

// False when an answer is not to be expected in time.
bool OdooRecheck::await(const EntryPtr& entry, Monotonic now) {
    const bool was_awaited = std::exchange(entry->awaited, now).has_value();
    if (entry->asking)
        return now - entry->asking_since < CONFIRM_WITHIN;
    if (was_awaited && std::ranges::find(awaited_, entry) != awaited_.end())
        return true;
    const double possible = allowance_ + options_.recheck_rate * seconds(CONFIRM_WITHIN);
    if (static_cast<double>(awaited_.size() + 1) > possible)
        return false;
    awaited_.push_back(entry);
    return true;
}

bool OdooRecheck::is_awaited(const GrantTable::Entry& entry, Monotonic now) const {
    return entry.awaited && now - *entry.awaited < CONFIRM_WITHIN && !entry.members.empty();
}

void OdooRecheck::ask_awaited(Monotonic now) {
    std::erase_if(awaited_, [this, now](const EntryPtr& entry) { return !is_awaited(*entry, now); });
    for (auto each = awaited_.begin(); each != awaited_.end() && allowance_ >= 1;) {
        const EntryPtr entry = *each;
        // The answer to another question of this session may confirm it, too.
        if (asking_.contains(entry->subject.client)) {
            ++each;
            continue;
        }
        each = awaited_.erase(each);
        allowance_ -= 1;
        grants_.begin_question(*entry, now, options_.recheck_interval);
        ask(entry, OdooQueue::Priority::interactive);
    }
}

// What was answered about one entry confirms another one of the session.
void OdooRecheck::confirm_by(const GrantTable::Entry& answered, GrantTable::Entry& entry) {
    grants_.confirm(entry, answered.asked, answered.asked + period(),
                    confirmed_until(entry.subject, answered.asked));
}

void OdooRecheck::confirm_others(const GrantTable::Entry& answered) {
    for (const EntryPtr& entry : awaited_)
        if (entry.get() != &answered && entry->subject.client == answered.subject.client &&
            !(entry->urgent > answered.asked) && covers(*answered.grant, *entry->grant))
            confirm_by(answered, *entry);
}

void OdooRecheck::forget_awaited(const Digest& client) {
    std::erase_if(awaited_, [&client](const EntryPtr& entry) { return entry->subject.client == client; });
}

// --- questions ---

void OdooRecheck::ask(const EntryPtr& entry, OdooQueue::Priority priority) {
    rechecks.add();
    asking_.insert(entry->subject.client);
    odoo_.ask(entry->subject, priority, [this, entry](const OdooPort::Peek& peek) { answered(entry, peek); });
}

void OdooRecheck::answered(const EntryPtr& entry, const OdooPort::Peek& peek) {
    const Monotonic now = MonotonicClock::now();
    const OdooSubject& subject = entry->subject;
    entry->asking = false;
    asking_.erase(asking_.find(subject.client));
    if (const auto* grant = std::get_if<Grant>(&peek.answer)) {
        presence_.granted(subject.session(), *grant, peek.sets_session, now);
        cache_.put(subject.key, subject.client, *grant, peek.asked, now);
        grants_.renew(*entry, *grant, peek.asked, now + period(), confirmed_until(subject, peek.asked));
        if (entry->asked >= peek.asked)
            confirm_others(*entry);
        // Since the question was asked, there may have been a reason for another one.
        if (is_awaited(*entry, now) && retired_)
            grants_.close(*entry, come_back());
        else if (is_awaited(*entry, now))
            await(entry, now);
    } else if (std::holds_alternative<Unavailable>(peek.answer) ||
               std::holds_alternative<NoDatabase>(peek.answer)) {
        failed(entry);
    } else if (std::holds_alternative<Refused>(peek.answer)) {
        refused(entry);
    } else {
        forget_awaited(subject.client); // the session was renewed or has ended: its connections were closed
    }
    refill(now);
    ask_awaited(now); // another entry of the session may have waited for this answer
}

void OdooRecheck::refused(const EntryPtr& entry) {
    const Monotonic now = MonotonicClock::now();
    cache_.forget(entry->subject.key, now);
    if (++entry->refused < REFUSALS) {
        entry->urgent = now;
        return grants_.put_off(*entry, now + SOON);
    }
    // The page comes back, subscribes, and gets what Odoo grants then.
    grants_.close(*entry, {.close_code = close_code::KEEP_ALIVE_TIMEOUT, .reason = "grant taken back"});
}

void OdooRecheck::failed(const EntryPtr& entry) {
    const Monotonic now = MonotonicClock::now();
    if (!entry->failing_since)
        entry->failing_since = now;
    if (now - *entry->failing_since < options_.max_unverified)
        return grants_.put_off(*entry, now + std::min(SOON, Duration(options_.max_unverified) / 4));
    grants_.close(*entry, {.close_code = close_code::TRY_AGAIN_LATER,
                           .reason = "Odoo could not be asked for --max-unverified"});
}

} // namespace odoo_bus
