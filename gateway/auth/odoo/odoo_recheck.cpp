// Periodic re-checks of grants.
#include "auth/odoo/odoo_recheck.h"

#include <algorithm>

#include "auth/odoo/odoo_refusals.h"
#include "base/clock.h"
#include "metrics/metrics.h"

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

} // namespace

void OdooRecheck::tick(Monotonic now) {
    const double rate = options_.recheck_rate;
    allowance_ = std::min(std::max(rate, 1.0), allowance_ + rate * seconds(now - ticked_));
    ticked_ = now;
    while (allowance_ >= 1) {
        const EntryPtr entry = grants_.next_due(now, options_.recheck_interval);
        if (!entry)
            break;
        allowance_ -= 1;
        if (retired_)
            grants_.close(*entry, come_back());
        else
            ask(entry);
    }
    if (now - measured_ < MEASURE)
        return;
    measured_ = now;
    unchecked.with().set(seconds(grants_.longest_unchecked(now)));
}

void OdooRecheck::ask(const EntryPtr& entry) {
    rechecks.add();
    port_.peek(entry->subject, false, OdooQueue::Priority::background,
               [this, entry](const OdooPort::Peek& peek) { answered(entry, peek); });
}

void OdooRecheck::answered(const EntryPtr& entry, const OdooPort::Peek& peek) {
    const Monotonic now = MonotonicClock::now();
    const OdooSubject& subject = entry->subject;
    entry->asking = false;
    if (const auto* grant = std::get_if<Grant>(&peek.answer)) {
        presence_.granted(subject.session(), *grant, peek.sets_session, now);
        cache_.put(subject.key, subject.client, *grant, peek.asked, now);
        grants_.renew(*entry, *grant, peek.asked, now + options_.recheck_interval);
    } else if (std::holds_alternative<Unavailable>(peek.answer) ||
               std::holds_alternative<NoDatabase>(peek.answer)) {
        failed(entry);
    } else if (std::holds_alternative<Refused>(peek.answer)) {
        refused(entry);
    } // else the session was renewed or has ended, and its connections were closed for that
}

void OdooRecheck::refused(const EntryPtr& entry) {
    const Monotonic now = MonotonicClock::now();
    cache_.forget(entry->subject.key, now);
    if (++entry->refused < REFUSALS) {
        entry->urgent = now;
        return grants_.put_off(*entry, now + SOON);
    }
    // The page comes back, subscribes, and gets what Odoo grants then.
    grants_.close(*entry, {.close_code = 4002, .reason = "grant taken back"});
}

void OdooRecheck::failed(const EntryPtr& entry) {
    const Monotonic now = MonotonicClock::now();
    if (!entry->failing_since)
        entry->failing_since = now;
    if (now - *entry->failing_since < options_.max_unverified)
        return grants_.put_off(*entry, now + std::min(SOON, Duration(options_.max_unverified) / 4));
    grants_.close(*entry,
                  {.close_code = TRY_AGAIN_LATER, .reason = "Odoo could not be asked for --max-unverified"});
}

} // namespace odoo_bus
