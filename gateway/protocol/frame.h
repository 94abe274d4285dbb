// The one writer of what the server sends: text frames that hold a non-empty JSON array.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "protocol/id.h"

namespace odoo_bus {

// `{"id":10,"message":<message>}` of one row, the message byte for byte as stored. Nothing, and a sentence in
// `error` that holds nothing of the row, when the message is not a JSON object with the keys type and
// payload: one such element would break the whole frame for every client.
std::optional<std::string> make_element(Id id, std::string_view message, std::string& error);

enum class FrameFormat : uint8_t {
    plain,  // [element,element], as Odoo's clients know it
    named,  // the same, and each element names its channel: {"id":10,"channel":["db","a"],"message":{...}}
    events, // that array as one event of an event stream, whose id is the last element's
};

// Elements for one client, begun with `reserve` bytes that the sender needs before the payload. Call add() at
// least once: shipped clients break on an empty array.
class Frame {
public:
    explicit Frame(size_t reserve = 0, FrameFormat format = FrameFormat::plain);

    // `channel` as stored, `element` as make_element() made it.
    void add(Id id, std::string_view channel, std::string_view element);
    std::string finish() &&;

private:
    void append(std::string_view text);

    std::string bytes_;
    FrameFormat format_;
    bool empty_ = true;
    Id last_ = 0;
};

// Internal elements have no id and stand alone in their frame. Only for clients whose subscribe had the key
// check_outdated or confirm: others read the id of a frame's last element. On an event stream they are events
// of the type `internal`, which is sent only to clients that asked for it by name.
struct FrameShape {
    size_t reserve = 0;
    FrameFormat format = FrameFormat::plain;
};
std::string subscription_outdated_frame(FrameShape shape = {});
std::string last_id_reset_frame(Id newest, FrameShape shape = {});

// The answer to a subscribe with the key confirm: what is committed from now on will be sent.
struct Confirmation {
    int64_t confirm = 0;
    Id last = 0;                           // where the client is, when it has everything up to there; else 0
    std::vector<std::string> refused = {}; // named, and not granted
    bool failed = false;                   // the whole subscribe was refused
};
std::string subscribed_frame(const Confirmation& confirmation, FrameShape shape = {});

// The answer to an event `bus/ping`. `last` as above.
std::string pong_frame(Id last, FrameShape shape = {});

} // namespace odoo_bus
