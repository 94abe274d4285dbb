// The id of an entry of the common order: <epoch>-<seq>, as Redis writes the ids of a stream.
//
// An epoch is one leader's time; `seq` goes on over epochs. So within an epoch there is one chain of entries,
// and along any chain ids ascend.
#pragma once

#include <algorithm>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>

#include "base/bytes.h"

namespace odoo_bus {

struct EntryId {
    uint64_t epoch = 0;
    uint64_t seq = 0;
    auto operator<=>(const EntryId&) const = default;
};

// Before the first entry; the head of an empty stream.
inline constexpr EntryId NO_ENTRY = {};

// A new leader's epoch: above every one that it knows, also when the clock is set back, and by the clock
// above one that Redis has lost. Each gateway, which a hash of its name stands for, has one of the EPOCH_STEP
// epochs of a millisecond, so that two do not choose the same.
inline constexpr uint64_t EPOCH_STEP = 1 << 16;
constexpr uint64_t next_epoch(uint64_t top, uint64_t unix_ms, uint64_t gateway) {
    const uint64_t least = std::max(top + 1, unix_ms * EPOCH_STEP);
    return least + (gateway - least) % EPOCH_STEP;
}

std::string to_text(EntryId id);
// Nothing when it has another form, leading zeros and signs included.
std::optional<EntryId> parse_entry_id(std::string_view text);

template <>
inline constexpr auto FIELDS<EntryId> = std::tuple(&EntryId::epoch, &EntryId::seq);

} // namespace odoo_bus
