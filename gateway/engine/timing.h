// The times of the common order.
//
// LEASE must exceed GONE: an edge that others still believe to follow has not begun an order of its own.
#pragma once

#include <chrono>

#include "base/clock.h"

namespace odoo_bus::timing {

using namespace std::chrono_literals;

constexpr Duration RECORD_EVERY = 500ms; // an edge tells how far it is
constexpr Duration GONE = 2s;            // after its last record an edge is not believed any more
constexpr Duration LEASE = 3s;           // after the last record that it sent it may be LOCAL
constexpr Duration HEARTBEAT = 1s;       // an entry at least, while there is a leader
constexpr Duration SILENT = 3s;          // without one the leader's session is ended
constexpr Duration REFILL_AFTER = 300ms; // what Redis has lost, by edges; the leader does it at once
constexpr Duration RESEND_AFTER = 1s;    // an answer that has not come is asked for again
constexpr Duration SETTLE = 500ms;       // after Redis was reached again: others may have to refill it
constexpr Duration PATIENCE = 5s;        // for a gateway that knows more, or any that knows something
constexpr Duration CONFIRM = 1500ms;     // for the record that tells whether a `last` is exact
constexpr Duration LEDGER_EVERY = 1s;    // changes of a ledger, at most
constexpr Duration STOPPED = 1s;         // between two ticks: this process was stopped

static_assert(GONE < LEASE);
static_assert(CONFIRM > 2 * RECORD_EVERY); // one until it is sent, one until it is asked for

} // namespace odoo_bus::timing
