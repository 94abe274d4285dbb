// The parser of what comes with NOTIFY imbus.
#include "protocol/notify_payload.h"

#include <algorithm>

#include "base/json.h"

namespace odoo_bus {

namespace {

// PostgreSQL takes less than 8000 bytes.
constexpr size_t MAX_PAYLOAD_BYTES = 8192;

// Its database's name; nothing when it is not a channel.
std::optional<std::string_view> database_of(const json_t* channel) {
    const json_t* database = json_array_get(channel, 0);
    if (!json_is_string(database))
        return std::nullopt;
    for (size_t i = 1; i < json_array_size(channel); ++i)
        if (!json_is_string(json_array_get(channel, i)) && !json_is_integer(json_array_get(channel, i)))
            return std::nullopt;
    return std::string_view(json_string_value(database), json_string_length(database));
}

} // namespace

std::optional<std::vector<std::string>> parse_notify_payload(std::string_view payload) {
    if (payload.size() > MAX_PAYLOAD_BYTES || json_extent(payload).depth > 2)
        return std::nullopt;
    const Json channels(json_loadb(payload.data(), payload.size(), 0, nullptr));
    if (!json_is_array(channels.get()))
        return std::nullopt;
    std::vector<std::string> databases;
    for (size_t i = 0; i < json_array_size(channels.get()); ++i) {
        const auto database = database_of(json_array_get(channels.get(), i));
        if (!database)
            return std::nullopt;
        if (std::find(databases.begin(), databases.end(), *database) == databases.end())
            databases.emplace_back(*database);
    }
    return databases;
}

} // namespace odoo_bus
