// The one writer of what the server sends: text frames that hold a non-empty JSON array.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "id_set.h"

namespace odoo_bus {

// `{"id":10,"message":<message>}` of one row, the message byte for byte as stored. Nothing, and a sentence in
// `error` that holds nothing of the row, when the message is not a JSON object with the keys type and
// payload: one such element would break the whole frame for every client.
std::optional<std::string> make_element(Id id, std::string_view message, std::string& error);

// `[element,element]`, begun with `reserve` bytes that the sender needs before the payload. Call add() at
// least once: shipped clients break on an empty array.
class Frame {
public:
    explicit Frame(size_t reserve = 0) : bytes_(reserve, '\0'), reserve_(reserve) { bytes_.push_back('['); }

    void add(std::string_view element) {
        if (bytes_.size() > reserve_ + 1)
            bytes_.push_back(',');
        bytes_.append(element);
    }
    // The size of the array if it were finished now.
    size_t size() const { return bytes_.size() - reserve_ + 1; }
    std::string finish() && {
        bytes_.push_back(']');
        return std::move(bytes_);
    }

private:
    std::string bytes_;
    size_t reserve_;
};

// Internal elements have no id and stand alone in their frame. Only for clients whose subscribe had the key
// check_outdated: others read the id of a frame's last element.
std::string subscription_outdated_frame(size_t reserve = 0);
std::string last_id_reset_frame(Id newest, size_t reserve = 0);

} // namespace odoo_bus
