// Changes of a ledger, and their bytes.
#include "engine/ledger_change.h"

#include <algorithm>
#include <utility>

namespace odoo_bus {

namespace {

// Says that a ledger belongs to no file.
constexpr uint64_t NO_FILE = 0;

IdSet without(IdSet ids, const IdSet& others) {
    ids.remove_all(others);
    return ids;
}

void read_ids(ByteReader& from, IdSet& ids) {
    std::string bytes;
    from.read(bytes);
    if (!ids.deserialize(bytes))
        from.refuse();
}

} // namespace

LedgerChange whole_ledger(const Checkpoint& now) {
    return {.is_whole = true, .now = now};
}

LedgerChange ledger_change(const Checkpoint& before, const Checkpoint& now) {
    LedgerChange change{
        .now = now, .closed = without(before.gaps, now.gaps), .passed = without(before.ahead, now.ahead)};
    change.now.gaps.remove_all(before.gaps);
    change.now.ahead.remove_all(before.ahead);
    return change;
}

bool is_empty(const LedgerChange& change, const Checkpoint& before) {
    return !change.is_whole && change.now.max_seen == before.max_seen && change.now.gaps.empty() &&
           change.now.ahead.empty() && change.closed.empty() && change.passed.empty();
}

void apply(const LedgerChange& change, Checkpoint& ledger) {
    IdSet gaps = std::move(ledger.gaps), ahead = std::move(ledger.ahead);
    ledger = change.now;
    if (change.is_whole)
        return;
    gaps.merge(change.now.gaps);
    gaps.remove_all(change.closed);
    ahead.merge(change.now.ahead);
    ahead.remove_all(change.passed);
    ledger.gaps = std::move(gaps);
    ledger.ahead = std::move(ahead);
}

bool has_decided(const Checkpoint& ledger, Id id) {
    return id <= ledger.max_seen ? !ledger.gaps.contains(id) : ledger.ahead.contains(id);
}

void Coding<LedgerChange>::write(std::string& to, const LedgerChange& change) {
    write_bytes(to, change.is_whole);
    write_bytes(to, encode_checkpoint(change.now, NO_FILE));
    write_bytes(to, change.closed.serialize());
    write_bytes(to, change.passed.serialize());
}

void Coding<LedgerChange>::read(ByteReader& from, LedgerChange& change) {
    from.read(change.is_whole);
    std::string bytes, why;
    from.read(bytes);
    auto now = decode_checkpoint(bytes, NO_FILE, why);
    if (!now)
        return from.refuse();
    change.now = std::move(*now);
    read_ids(from, change.closed);
    read_ids(from, change.passed);
    if (change.is_whole && !(change.closed.empty() && change.passed.empty()))
        from.refuse();
}

} // namespace odoo_bus
