// Whatever a WebSocket client sends: no harm, and nothing beyond the limits.
#include "protocol/client_event.h"

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/json.h"
#include "base/utf8.h"

using namespace odoo_bus;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    ClientEventLimits limits;
    limits.max_channels = 5;
    limits.max_channel_bytes = 20;
    const ClientEvent event = parse_client_event(text, limits);
    const auto* invalid = std::get_if<InvalidEvent>(&event);
    assert(is_utf8(text) == !(invalid && invalid->not_utf8));
    if (const auto* subscribe = std::get_if<Subscribe>(&event)) {
        assert(subscribe->channels.size() <= limits.max_channels);
        for (const auto& channel : subscribe->channels) {
            assert(channel.size() <= limits.max_channel_bytes);
            assert(is_utf8(channel) && channel.find('\0') == channel.npos);
        }
        assert(subscribe->last_is_integer || subscribe->last == 0);
    }
    if (const auto* presence = std::get_if<UpdatePresence>(&event)) {
        const std::string& ids = presence->im_status_ids_by_model;
        assert(ids.empty() || json_is_object(parse_lenient(ids).get()));
    }
    return 0;
}
