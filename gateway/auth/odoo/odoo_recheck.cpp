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
constexpr int64_t SOON_US = 5'000'000;
constexpr int64_t MEASURE_US = 1'000'000;

} // namespace

void OdooRecheck::tick(int64_t now_us) {
    const double rate = options_.recheck_rate;
    allowance_ =
        std::min(std::max(rate, 1.0), allowance_ + rate * static_cast<double>(now_us - ticked_us_) / 1e6);
    ticked_us_ = now_us;
    while (allowance_ >= 1) {
        const EntryPtr entry = grants_.next_due(now_us, us(options_.recheck_interval));
        if (!entry)
            break;
        allowance_ -= 1;
        if (retired_)
            grants_.close(*entry, come_back());
        else
            ask(entry);
    }
    if (now_us - measured_us_ < MEASURE_US)
        return;
    measured_us_ = now_us;
    unchecked.with().set(static_cast<double>(grants_.longest_unchecked_us(now_us)) / 1e6);
}

void OdooRecheck::ask(const EntryPtr& entry) {
    rechecks.add();
    port_.peek(entry->subject, false, OdooQueue::Priority::background,
               [this, entry](const OdooPort::Peek& peek) { answered(entry, peek); });
}

void OdooRecheck::answered(const EntryPtr& entry, const OdooPort::Peek& peek) {
    const int64_t now = now_us();
    const OdooSubject& subject = entry->subject;
    entry->asking = false;
    if (const auto* grant = std::get_if<Grant>(&peek.answer)) {
        presence_.granted(subject.session(), *grant, peek.sets_session, now);
        cache_.put(subject.key, subject.client, *grant, peek.asked_us, now);
        grants_.renew(*entry, *grant, peek.asked_us, now + us(options_.recheck_interval));
    } else if (std::holds_alternative<Unavailable>(peek.answer) ||
               std::holds_alternative<NoDatabase>(peek.answer)) {
        failed(entry);
    } else if (std::holds_alternative<Refused>(peek.answer)) {
        refused(entry);
    } // else the session was renewed or has ended, and its connections were closed for that
}

void OdooRecheck::refused(const EntryPtr& entry) {
    const int64_t now = now_us();
    cache_.forget(entry->subject.key, now);
    if (++entry->refused < REFUSALS) {
        entry->urgent_us = now;
        return grants_.put_off(*entry, now + SOON_US);
    }
    // The page comes back, subscribes, and gets what Odoo grants then.
    grants_.close(*entry, {.close_code = 4002, .reason = "grant taken back"});
}

void OdooRecheck::failed(const EntryPtr& entry) {
    const int64_t now = now_us();
    if (!entry->failing_since_us)
        entry->failing_since_us = now;
    if (now - entry->failing_since_us < us(options_.max_unverified))
        return grants_.put_off(*entry, now + std::min(SOON_US, us(options_.max_unverified) / 4));
    grants_.close(*entry,
                  {.close_code = TRY_AGAIN_LATER, .reason = "Odoo could not be asked for --max-unverified"});
}

} // namespace odoo_bus
