// What a request over plain HTTP subscribes to.
#include "clients/http_subscribe.h"

#include <charconv>

#include "base/json.h"
#include "base/utf8.h"
#include "http/query.h"

namespace odoo_bus {

namespace {

constexpr size_t MAX_ID_BYTES = 64;
constexpr size_t MAX_PAIRS = 2'000;

void read_last(Subscribe& subscribe, std::string_view text) {
    int64_t last = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), last);
    subscribe.last_is_integer = error == std::errc() && end == text.data() + text.size();
    subscribe.last = subscribe.last_is_integer ? last : 0;
}

HttpSubscribe from_query(const HttpRequest& request, const ClientEventLimits& limits) {
    HttpSubscribe asked;
    const auto query = parse_query(request.query, MAX_PAIRS);
    if (!query)
        return {.subscribe = {}, .problem = "the query is malformed"};
    for (const auto& [name, value] : *query) {
        if (!is_utf8(value) || value.find('\0') != value.npos)
            return {.subscribe = {}, .problem = "the query is not UTF-8"};
        if (name == "channel")
            asked.subscribe.channels.push_back(value);
        else if (name == "last")
            read_last(asked.subscribe, value);
        else if (name == "channels")
            for (size_t begin = 0; begin <= value.size();) {
                const size_t end = std::min(value.find(',', begin), value.size());
                if (end > begin)
                    asked.subscribe.channels.push_back(value.substr(begin, end - begin));
                begin = end + 1;
            }
    }
    if (!request.last_event_id.empty())
        read_last(asked.subscribe, request.last_event_id);
    // Without `last` the stream begins 50 seconds ago; with it, it is asked whether that is still known.
    if (asked.subscribe.last > 0)
        asked.subscribe.check_outdated = true;
    if (asked.subscribe.channels.size() > limits.max_channels)
        return {.subscribe = {}, .problem = "too many channels are named"};
    for (const std::string& channel : asked.subscribe.channels)
        if (channel.size() > limits.max_channel_bytes)
            return {.subscribe = {}, .problem = "the name of a channel is too long"};
    return asked;
}

} // namespace

HttpSubscribe http_subscribe(const HttpRequest& request, const ClientEventLimits& limits) {
    if (!request.is_post)
        return from_query(request, limits);
    HttpSubscribe asked;
    std::string_view problem;
    const Json body = parse_bounded(request.body, limits, problem);
    if (!json_is_object(body.get())) {
        asked.problem = problem.empty() ? "the body is not a JSON object" : problem;
        return asked;
    }
    const json_t* data = body.get();
    if (request.kind != HttpRequest::Kind::events) {
        const json_t* id = json_object_get(data, "id");
        if (json_is_integer(id) || json_is_string(id)) {
            const std::unique_ptr<char, decltype(&free)> text(
                json_dumps(id, JSON_COMPACT | JSON_ENCODE_ANY | JSON_ENSURE_ASCII), &free);
            if (text && std::string_view(text.get()).size() <= MAX_ID_BYTES)
                asked.id = text.get();
        }
        data = json_object_get(data, "params");
    }
    ClientEvent event = subscribe_event(data, limits);
    if (auto* subscribe = std::get_if<Subscribe>(&event))
        asked.subscribe = std::move(*subscribe);
    else if (const auto* invalid = std::get_if<InvalidEvent>(&event))
        asked.problem = invalid->reason;
    return asked;
}

} // namespace odoo_bus
