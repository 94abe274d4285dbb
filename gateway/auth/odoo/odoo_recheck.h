// Periodic re-checks of grants: Odoo is asked again, at a bounded rate, about every connection that has
// received something since Odoo was asked last.
#pragma once

#include <memory>

#include "auth/odoo/grant_cache.h"
#include "auth/odoo/grant_table.h"
#include "auth/odoo/odoo_port.h"
#include "auth/odoo/odoo_presence.h"
#include "base/clock.h"
#include "config/options.h"

namespace odoo_bus {

class OdooRecheck {
public:
    // `options` may change meanwhile.
    OdooRecheck(const Options& options, OdooPort& port, GrantTable& grants, GrantCache& cache,
                OdooPresence& presence)
        : options_(options), port_(port), grants_(grants), cache_(cache), presence_(presence) {}

    void start(Monotonic now) { ticked_ = now; }
    // Another process has taken over: connections that are due are sent there instead.
    void retire() { retired_ = true; }

    // About ten times a second.
    void tick(Monotonic now);

private:
    using EntryPtr = std::shared_ptr<GrantTable::Entry>;
    void ask(const EntryPtr& entry);
    void answered(const EntryPtr& entry, const OdooPort::Peek& peek);
    void failed(const EntryPtr& entry);
    void refused(const EntryPtr& entry);

    const Options& options_;
    OdooPort& port_;
    GrantTable& grants_;
    GrantCache& cache_;
    OdooPresence& presence_;
    bool retired_ = false;
    double allowance_ = 0; // re-checks that may be sent now
    Monotonic ticked_;
    Monotonic measured_;
};

} // namespace odoo_bus
