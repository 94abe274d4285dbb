// Whatever comes with NOTIFY imbus, or is handed to bus_notify() for it.
#include "protocol/notify_payload.h"

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>

#include "base/utf8.h"
#include "common/channel_list.h"

using namespace odoo_bus;

namespace {

// What the extension merges with the channels of others must be channels, by the other parser's judgement.
void check_channel_list(std::string_view payload, bool is_valid) {
    std::string joined;
    const bool is_list = for_each_channel(payload, [&joined](std::string_view channel) {
        joined += joined.empty() ? '[' : ',';
        joined += channel;
    });
    if (!is_list)
        return;
    assert(joined + ']' == payload);
    if (payload.size() < 8000)
        assert(is_valid);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view payload(reinterpret_cast<const char*>(data), size);
    const auto databases = parse_notify_payload(payload);
    check_channel_list(payload, databases.has_value());
    if (!databases)
        return 0;
    for (const auto& database : *databases)
        assert(is_utf8(database));
    assert(std::set(databases->begin(), databases->end()).size() == databases->size());
    return 0;
}
