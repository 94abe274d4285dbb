// The id of an entry as text.
#include "engine/entry_id.h"

#include <charconv>

namespace odoo_bus {

std::string to_text(EntryId id) {
    return std::to_string(id.epoch) + '-' + std::to_string(id.seq);
}

std::optional<EntryId> parse_entry_id(std::string_view text) {
    EntryId id;
    const char* const end = text.data() + text.size();
    const auto epoch = std::from_chars(text.data(), end, id.epoch);
    if (epoch.ec != std::errc() || epoch.ptr == end || *epoch.ptr != '-')
        return std::nullopt;
    const auto seq = std::from_chars(epoch.ptr + 1, end, id.seq);
    if (seq.ec != std::errc() || seq.ptr != end || to_text(id) != text)
        return std::nullopt;
    return id;
}

} // namespace odoo_bus
