// What a leader says of its ledger beside what it publishes: gaps that have died, and ids that were passed
// without a notification. Whole, for gateways that begin or have missed entries, or as a change, since a
// ledger with millions of gaps has megabytes.
//
// A change may come late: without it a gap stays open, which costs its next reader a probe and nothing else.
#pragma once

#include <string>

#include "base/bytes.h"
#include "ledger/checkpoint.h"

namespace odoo_bus {

struct LedgerChange {
    bool is_whole = false;
    // The ledger; in a change `gaps` and `ahead` are those that have come.
    Checkpoint now = {};
    // Those that have gone.
    IdSet closed = {};
    IdSet passed = {};

    bool operator==(const LedgerChange&) const = default;
};

LedgerChange whole_ledger(const Checkpoint& now);
LedgerChange ledger_change(const Checkpoint& before, const Checkpoint& now);
// Says nothing new of any id.
bool is_empty(const LedgerChange& change, const Checkpoint& before);
void apply(const LedgerChange& change, Checkpoint& ledger);

// Whether the ledger has dispatched the id, or decided that it will not come.
bool has_decided(const Checkpoint& ledger, Id id);

template <>
struct Coding<LedgerChange> {
    static void write(std::string& to, const LedgerChange& change);
    static void read(ByteReader& from, LedgerChange& change);
};

} // namespace odoo_bus
