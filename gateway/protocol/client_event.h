// The one parser of what WebSocket clients send.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/json.h"

namespace odoo_bus {

// Replaces the connection's whole subscription.
struct Subscribe {
    std::vector<std::string> channels; // as named by the client, UTF-8 without NUL; may repeat
    int64_t last = 0;                  // 0 when it is not an integer of 64 bits, or missing
    bool last_is_integer = false;
    std::optional<bool> check_outdated; // present: the client knows internal elements

    // Extensions, which Odoo's clients do not have and Odoo's server ignores.
    std::optional<int64_t> confirm; // to be repeated to the client when it is subscribed
    bool name_channels = false;     // each notification is to name its channel

    std::string foreign_key = {}; // one that is none of these, and means something to Odoo's own server only
};

// An extension: the client wants to hear that the connection is alive, and where it is.
struct Ping {};

struct UpdatePresence {
    int64_t inactivity_period = 0;      // milliseconds
    std::string im_status_ids_by_model; // a JSON object; empty when missing
};

// To be ignored without closing.
struct UnknownEvent {
    std::string event_name;
};

// Logged, and the connection is kept, except that a text that is not UTF-8 closes with 1007.
struct InvalidEvent {
    std::string reason; // holds nothing of what the client sent
    bool not_utf8 = false;
    std::string foreign_key = {}; // see Subscribe
};

using ClientEvent = std::variant<Subscribe, UpdatePresence, Ping, UnknownEvent, InvalidEvent>;

struct ClientEventLimits {
    size_t max_channels = 10'000;
    size_t max_channel_bytes = 1'024; // of one channel
    size_t max_depth = 16;            // of nested arrays and objects
    size_t max_values = 16'384; // in one event, since a parsed value takes far more memory than its text
    size_t max_presence_bytes = 64 << 10; // of im_status_ids_by_model; a longer one counts as missing
};

// The data of a subscribe: a Subscribe or an InvalidEvent.
ClientEvent subscribe_event(const json_t* data, const ClientEventLimits& limits);

// `text` as JSON, unless it is not, or asks for more than the limits allow: then why in `problem`.
Json parse_bounded(std::string_view text, const ClientEventLimits& limits, std::string_view& problem);

// `text`: a whole message.
ClientEvent parse_client_event(std::string_view text, const ClientEventLimits& limits);

} // namespace odoo_bus
