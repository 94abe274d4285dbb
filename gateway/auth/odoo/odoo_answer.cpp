// The meaning of Odoo's responses.
//
// Notifications that come with a peek are foreign texts, which a strict parser may refuse: they are skipped.
#include "auth/odoo/odoo_answer.h"

#include <algorithm>

#include <spdlog/fmt/fmt.h>

#include "auth/odoo/odoo_request.h"
#include "base/json.h"
#include "base/json_slice.h"
#include "base/keyed_hash.h"
#include "base/log.h"
#include "common/ascii_json.h"

namespace odoo_bus {

namespace {

constexpr size_t MAX_DEPTH = 64;
constexpr size_t MAX_VALUES = 500'000;
constexpr size_t MAX_CHANNEL_PARTS = 16;
constexpr size_t MAX_CHANNEL_BYTES = 4096;
constexpr size_t MAX_NAME_BYTES = 128;
constexpr int SESSION_EXPIRED = 100;

using Problem = std::variant<Refused, Expired, NoDatabase, Unavailable>;

std::string_view text_of(const json_t* string) {
    return {json_string_value(string), json_string_length(string)};
}

// The class of an exception: letters, digits, dots. Any other text may hold what must not be logged.
std::string exception_name(const json_t* error) {
    const json_t* name = json_object_get(json_object_get(error, "data"), "name");
    if (!json_is_string(name) || json_string_length(name) > MAX_NAME_BYTES)
        return {};
    const std::string_view text = text_of(name);
    const bool is_name = std::ranges::all_of(text, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
               c == '_';
    });
    return is_name ? std::string(text) : std::string();
}

std::optional<Problem> judge_status(const HttpAnswer& answer) {
    if (answer.status() == 404)
        return NoDatabase{};
    if (answer.status() >= 500 || answer.status() == 429)
        return Unavailable{fmt::format("it answers {}", answer.status())};
    if (answer.status() >= 300 && answer.status() < 400)
        return NoDatabase{}; // to the database selector
    if (answer.status() != 200)
        return Refused{fmt::format("HTTP {}", answer.status())};
    if (!answer.header("content-type").value_or("").starts_with("application/json"))
        return NoDatabase{}; // a page
    return std::nullopt;
}

struct Document {
    Json object;
    bool is_repaired;
};

// The JSON-RPC object, or the problem that the response reports.
std::variant<Document, Problem> read_document(const HttpAnswer& answer) {
    if (auto problem = judge_status(answer))
        return std::move(*problem);
    const JsonExtent extent = json_extent(answer.body());
    if (extent.depth > MAX_DEPTH || extent.values > MAX_VALUES)
        return Problem(Unavailable{"its answer holds too much"});
    bool is_repaired = false;
    Json object = parse_lenient(answer.body(), nullptr, &is_repaired);
    if (!json_is_object(object.get()))
        return Problem(Unavailable{"its answer is no JSON object"});
    const json_t* error = json_object_get(object.get(), "error");
    if (!error)
        return Document{std::move(object), is_repaired};
    const json_t* code = json_object_get(error, "code");
    if (json_is_integer(code) && json_integer_value(code) == SESSION_EXPIRED)
        return Problem(Expired{});
    return Problem(Refused{exception_name(error)});
}

// As it is written, of valid JSON; empty when there is none.
std::string_view member_of_result(std::string_view document, std::string_view name) {
    const std::string_view result = json_member(document, "result").value_or("");
    return result.starts_with('{') ? json_member(result, name).value_or("") : "";
}

// Writes one part of a channel as Python does. False for a value that no channel of Odoo holds.
bool write_part(std::string& channel, const json_t* part) {
    switch (json_typeof(part)) {
    case JSON_STRING:
        return write_json_string(channel, text_of(part));
    case JSON_INTEGER:
        write_json_integer(channel, json_integer_value(part));
        return true;
    case JSON_TRUE:
        channel += "true";
        return true;
    case JSON_FALSE:
        channel += "false";
        return true;
    case JSON_NULL:
        channel += "null";
        return true;
    default:
        return false;
    }
}

// As stored; empty when it is no channel.
std::string stored(const json_t* parts) {
    std::string channel = "[";
    for (size_t i = 0; i < json_array_size(parts); ++i) {
        if (i > 0)
            channel += ',';
        if (!write_part(channel, json_array_get(parts, i)))
            return {};
    }
    channel += ']';
    return channel.size() <= MAX_CHANNEL_BYTES ? channel : std::string();
}

PeekAnswer read_channels(const json_t* channels, size_t max_channels) {
    if (!json_is_array(channels))
        return Unavailable{"its answer names no channels"};
    if (json_array_size(channels) > max_channels)
        return Unavailable{"its answer names too many channels"};
    Grant grant;
    KeyedSet<std::string> seen;
    size_t dropped = 0;
    for (size_t i = 0; i < json_array_size(channels); ++i) {
        const json_t* parts = json_array_get(channels, i);
        const json_t* database = json_array_get(parts, 0);
        const size_t count = json_array_size(parts);
        if (count < 2 || count > MAX_CHANNEL_PARTS || !json_is_string(database) ||
            json_string_length(database) == 0) {
            ++dropped;
            continue;
        }
        if (grant.database.empty())
            grant.database = text_of(database);
        std::string channel = stored(parts);
        if (text_of(database) != grant.database || channel.empty())
            ++dropped;
        else if (seen.insert(channel).second)
            grant.channels.push_back(std::move(channel));
    }
    if (dropped) {
        static log::Limited lines("channels that were dropped", 1);
        lines.write(log::Level::warning, "Odoo granted {} channels of another database or shape: dropped",
                    dropped);
    }
    if (grant.database.empty())
        return Unavailable{"its answer names no channels"};
    return grant;
}

} // namespace

PeekAnswer read_peek(const HttpAnswer& answer, size_t max_channels) {
    auto document = read_document(answer);
    if (auto* problem = std::get_if<Problem>(&document))
        return std::visit([](auto& each) -> PeekAnswer { return std::move(each); }, *problem);
    const auto& [object, is_repaired] = std::get<Document>(document);
    if (!is_repaired) {
        const json_t* result = json_object_get(object.get(), "result");
        return read_channels(json_object_get(result, "channels"), max_channels);
    }
    // A channel that the parser repairs would be another one.
    const std::string_view channels = member_of_result(answer.body(), "channels");
    if (needs_repair(channels))
        return Unavailable{"its answer names no channels"};
    const Json parsed(json_loadb(channels.data(), channels.size(), JSON_ALLOW_NUL, nullptr));
    return read_channels(parsed.get(), max_channels);
}

CallAnswer read_call(const HttpAnswer& answer) {
    auto document = read_document(answer);
    if (auto* problem = std::get_if<Problem>(&document))
        return std::visit([](auto& each) -> CallAnswer { return std::move(each); }, *problem);
    return Done{};
}

std::optional<std::string> session_of_cookie(std::string_view set_cookie) {
    constexpr std::string_view NAME = "session_id=";
    if (!set_cookie.starts_with(NAME))
        return std::nullopt;
    std::string_view value = set_cookie.substr(NAME.size());
    value = value.substr(0, value.find(';'));
    while (value.ends_with(' '))
        value.remove_suffix(1);
    return is_session_id(value) ? std::optional<std::string>(value) : std::nullopt;
}

std::optional<std::string> session_set_by(const HttpAnswer& answer) {
    std::optional<std::string> session;
    for (const auto value : answer.all("set-cookie"))
        if (auto id = session_of_cookie(value))
            session = std::move(id);
    return session;
}

} // namespace odoo_bus
