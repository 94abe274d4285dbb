// The reader of what a server sends, for clients: the elements of a frame as they stand in it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/id.h"

namespace odoo_bus {

struct ReceivedElement {
    std::string_view text;    // the whole element; all views point into the frame
    std::string_view payload; // its JSON; empty when missing
    std::string type;         // empty when missing
    std::optional<Id> id;     // internal elements have none
    // The payload's sent_at: seconds since 1970 as a number, or a time as ISO 8601 writes it (without a zone:
    // UTC). Microseconds since 1970.
    std::optional<int64_t> sent_us;
};

// Nothing when `frame` is not a JSON array.
std::optional<std::vector<ReceivedElement>> read_frame(std::string_view frame);

// "2026-11-23T22:49:08.123456+01:00", "2026-11-23 22:49:08Z"; microseconds since 1970.
std::optional<int64_t> parse_iso_time(std::string_view text);

} // namespace odoo_bus
