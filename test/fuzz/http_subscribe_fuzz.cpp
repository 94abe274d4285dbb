// Whatever a request for an event stream or a poll says: no harm, and nothing beyond the limits. The first
// byte chooses the kind of request.
#include "clients/http_subscribe.h"

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/json.h"
#include "base/utf8.h"

using namespace odoo_bus;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size == 0)
        return 0;
    const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
    HttpRequest request;
    request.is_post = data[0] & 1;
    request.kind = data[0] & 2 ? HttpRequest::Kind::poll : HttpRequest::Kind::events;
    (request.is_post ? request.body : data[0] & 4 ? request.last_event_id : request.query) = text;
    ClientEventLimits limits;
    limits.max_channels = 5;
    limits.max_channel_bytes = 20;
    const HttpSubscribe asked = http_subscribe(request, limits);
    assert(is_utf8(asked.problem));
    const Json id(json_loads(asked.id.c_str(), JSON_DECODE_ANY, nullptr));
    assert(id && asked.id.size() <= 64);
    if (!asked.problem.empty())
        return 0;
    assert(asked.subscribe.channels.size() <= limits.max_channels);
    for (const auto& channel : asked.subscribe.channels) {
        assert(channel.size() <= limits.max_channel_bytes);
        assert(is_utf8(channel) && channel.find('\0') == channel.npos);
    }
    assert(asked.subscribe.last_is_integer || asked.subscribe.last == 0);
    return 0;
}
