// Re-checks of grants, at a bounded rate: Odoo is asked again about every connection that has received
// something since Odoo was asked last, and before that about those for which notifications wait.
#pragma once

#include <algorithm>
#include <deque>
#include <functional>
#include <memory>
#include <unordered_set>

#include "auth/odoo/grant_cache.h"
#include "auth/odoo/grant_table.h"
#include "auth/odoo/odoo_port.h"
#include "auth/odoo/odoo_presence.h"
#include "base/clock.h"
#include "config/options.h"

namespace odoo_bus {

class OdooRecheck {
public:
    struct Odoo {
        std::function<void(const OdooSubject&, OdooQueue::Priority, OdooPort::OnPeek)> ask;
        std::function<bool()> answers;       // the last questions
        std::function<bool()> shows_logouts; // by its session files
    };

    // `options` may change meanwhile.
    OdooRecheck(const Options& options, Odoo odoo, GrantTable& grants, GrantCache& cache,
                OdooPresence& presence)
        : options_(options), odoo_(std::move(odoo)), grants_(grants), cache_(cache), presence_(presence) {}

    void start(Monotonic now) { refilled_ = now; }
    // Another process has taken over: connections that are due are sent there instead.
    void retire();

    // About ten times a second.
    void tick(Monotonic now);

    // From an answer to the next periodic question. It is so much shorter than --recheck-interval that
    // sessions that receive something all the time are confirmed before anything has to wait for that.
    Duration period() const { return Duration(options_.recheck_interval) * 9 / 10; }
    // Grant::confirmed_until after an answer to a question that was asked then.
    Monotonic confirmed_until(const OdooSubject& subject, Monotonic asked) const;
    // Notifications wait for the connection's grant to be confirmed. The link is told at once when that would
    // take longer than CONFIRM_WITHIN.
    void confirm(const std::shared_ptr<ConnectionLink>& link, Monotonic now);

private:
    using EntryPtr = std::shared_ptr<GrantTable::Entry>;

    double burst() const { return std::max(options_.recheck_rate, 1.0); }
    void refill(Monotonic now);
    bool await(const EntryPtr& entry, Monotonic now);
    void ask_awaited(Monotonic now);
    bool is_awaited(const GrantTable::Entry& entry, Monotonic now) const;
    void forget_awaited(const Digest& client);
    void confirm_by(const GrantTable::Entry& answered, GrantTable::Entry& entry);
    void confirm_others(const GrantTable::Entry& answered);
    void ask(const EntryPtr& entry, OdooQueue::Priority priority);
    void answered(const EntryPtr& entry, const OdooPort::Peek& peek);
    void failed(const EntryPtr& entry);
    void refused(const EntryPtr& entry);

    const Options& options_;
    const Odoo odoo_;
    GrantTable& grants_;
    GrantCache& cache_;
    OdooPresence& presence_;
    bool retired_ = false;
    double allowance_ = 0; // re-checks that may be sent now
    Monotonic refilled_;
    Monotonic measured_;
    std::deque<EntryPtr> awaited_;                       // in the order in which notifications began to wait
    std::unordered_multiset<Digest, DigestHash> asking_; // the clients of the questions that were asked
};

} // namespace odoo_bus
