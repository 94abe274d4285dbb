// What a gateway tells the others of itself, in the hash `:edges`, under its name.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <tuple>

#include "base/bytes.h"
#include "base/clock.h"
#include "engine/edge.h"

namespace odoo_bus {

struct EdgeRecord {
    EntryId oldest = {}; // what was published up to here comes from the table there, not in its order
    EntryId applied = {};
    Deviation deviation = {};
    Monotonic sent = {};       // by its own clock: only differences mean something to others
    bool wants_ledger = false; // it has missed entries
    bool can_lead = false;     // it knows the ledgers, and may
    bool is_to_lead = false;   // it has the lock, and waits until it may
    bool operator==(const EdgeRecord&) const = default;
};

template <>
inline constexpr auto FIELDS<EdgeRecord> = std::tuple(&EdgeRecord::oldest, &EdgeRecord::applied,
                                                      &EdgeRecord::deviation, &EdgeRecord::sent,
                                                      &EdgeRecord::wants_ledger, &EdgeRecord::can_lead,
                                                      &EdgeRecord::is_to_lead);

std::string encode_record(const EdgeRecord& record);
std::optional<EdgeRecord> decode_record(std::string_view bytes);

} // namespace odoo_bus
