// The one parser of what WebSocket clients send.
#include "protocol/client_event.h"

#include <algorithm>
#include <cmath>

#include "base/utf8.h"

namespace odoo_bus {

namespace {

constexpr size_t MAX_EVENT_NAME_BYTES = 128;

std::string_view text_of(const json_t* string) {
    return {json_string_value(string), json_string_length(string)};
}

} // namespace

namespace {

// The first key that no ordinary subscribe has; cut, since it may be long.
std::string foreign_key_of(const json_t* data) {
    static constexpr std::string_view KNOWN[] = {"channels", "last", "check_outdated", "confirm",
                                                 "name_channels"};
    constexpr size_t MAX_BYTES = 64;
    const char* key;
    json_t* value;
    json_object_foreach(
        const_cast<json_t*>(data), key,
        value) if (std::ranges::find(KNOWN, std::string_view(key)) ==
                   std::end(KNOWN)) return std::string(std::string_view(key).substr(0, MAX_BYTES));
    return {};
}

ClientEvent read_subscribe(const json_t* data, const ClientEventLimits& limits) {
    const json_t* channels = json_object_get(data, "channels");
    if (!json_is_array(channels))
        return InvalidEvent{"the channels of a subscribe are not an array"};
    if (json_array_size(channels) > limits.max_channels)
        return InvalidEvent{"a subscribe names too many channels"};
    Subscribe subscribe;
    subscribe.channels.reserve(json_array_size(channels));
    for (size_t i = 0; i < json_array_size(channels); ++i) {
        const json_t* channel = json_array_get(channels, i);
        if (!json_is_string(channel))
            return InvalidEvent{"a channel of a subscribe is not a string"};
        if (json_string_length(channel) > limits.max_channel_bytes)
            return InvalidEvent{"a channel of a subscribe is too long"};
        subscribe.channels.emplace_back(text_of(channel));
    }
    if (const json_t* last = json_object_get(data, "last"); json_is_integer(last)) {
        subscribe.last = json_integer_value(last);
        subscribe.last_is_integer = true;
    }
    if (const json_t* check_outdated = json_object_get(data, "check_outdated"))
        subscribe.check_outdated = json_is_true(check_outdated);
    if (const json_t* confirm = json_object_get(data, "confirm"); json_is_integer(confirm))
        subscribe.confirm = json_integer_value(confirm);
    const json_t* name_channels = json_object_get(data, "name_channels");
    subscribe.name_channels = json_is_true(name_channels);
    // Odoo 19.4 and later need the key check_outdated. So clients of ours always send it, and false is as
    // without it: the last 50 s, not the whole table, and no internal elements of Odoo's.
    if ((name_channels || subscribe.confirm) && subscribe.check_outdated == false)
        subscribe.check_outdated.reset();
    return subscribe;
}

} // namespace

ClientEvent subscribe_event(const json_t* data, const ClientEventLimits& limits) {
    ClientEvent event = read_subscribe(data, limits);
    if (auto* const subscribe = std::get_if<Subscribe>(&event))
        subscribe->foreign_key = foreign_key_of(data);
    else
        std::get<InvalidEvent>(event).foreign_key = foreign_key_of(data);
    return event;
}

namespace {

ClientEvent parse_update_presence(const json_t* data, const ClientEventLimits& limits) {
    const json_t* period = json_object_get(data, "inactivity_period");
    UpdatePresence presence;
    if (json_is_integer(period))
        presence.inactivity_period = json_integer_value(period);
    else if (json_is_real(period) && std::fabs(json_real_value(period)) < 9e15)
        presence.inactivity_period = static_cast<int64_t>(json_real_value(period));
    else
        return InvalidEvent{"the inactivity_period of an update_presence is not a number of milliseconds"};
    if (const json_t* ids = json_object_get(data, "im_status_ids_by_model")) {
        if (!json_is_object(ids))
            return InvalidEvent{"the im_status_ids_by_model of an update_presence is not an object"};
        const std::unique_ptr<char, decltype(&free)> dumped(json_dumps(ids, JSON_COMPACT), &free);
        if (const std::string_view text = dumped.get(); text.size() <= limits.max_presence_bytes)
            presence.im_status_ids_by_model = text;
    }
    return presence;
}

} // namespace

Json parse_bounded(std::string_view text, const ClientEventLimits& limits, std::string_view& problem) {
    const JsonExtent extent = json_extent(text);
    if (extent.depth > limits.max_depth)
        problem = "an event is nested too deeply";
    else if (extent.values > limits.max_values)
        problem = "an event holds too many values";
    if (!problem.empty())
        return nullptr;
    // An integer of more than 64 bits is not one for us, but no reason to refuse the rest.
    Json event = parse_strict(text);
    if (!event)
        problem = "an event is not a JSON object";
    return event;
}

ClientEvent parse_client_event(std::string_view text, const ClientEventLimits& limits) {
    // Before everything else: RFC 6455 closes for it, whatever else may be wrong with the text.
    if (!is_utf8(text))
        return InvalidEvent{"a text message is not UTF-8", true};
    std::string_view problem;
    const Json event = parse_bounded(text, limits, problem);
    if (!problem.empty())
        return InvalidEvent{std::string(problem)};
    const json_t* name = json_object_get(event.get(), "event_name");
    if (!json_is_string(name) || json_string_length(name) > MAX_EVENT_NAME_BYTES)
        return InvalidEvent{"an event has no event_name, or one that is not a short string"};
    const json_t* data = json_object_get(event.get(), "data");
    if (text_of(name) == "subscribe")
        return subscribe_event(data, limits);
    if (text_of(name) == "update_presence")
        return parse_update_presence(data, limits);
    if (text_of(name) == "bus/ping")
        return Ping{};
    return UnknownEvent{std::string(text_of(name))};
}

} // namespace odoo_bus
