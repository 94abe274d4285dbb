// The one writer of what the server sends.
#include "frame.h"

#include <spdlog/fmt/fmt.h>

#include "json.h"

namespace odoo_bus {

namespace {

// Generous, since rows come from the database's users; they bound the stack and the memory of a parse.
constexpr size_t MAX_MESSAGE_DEPTH = 512;
constexpr size_t MAX_MESSAGE_VALUES = 1'000'000;

} // namespace

std::optional<std::string> make_element(Id id, std::string_view message, std::string& error) {
    const JsonExtent extent = json_extent(message);
    if (extent.depth > MAX_MESSAGE_DEPTH || extent.values > MAX_MESSAGE_VALUES) {
        error = fmt::format("the message is nested deeper than {} levels or holds more than {} values",
                            MAX_MESSAGE_DEPTH, MAX_MESSAGE_VALUES);
        return std::nullopt;
    }
    json_error_t where;
    const Json parsed = parse_lenient(message, &where);
    if (!parsed) {
        error = fmt::format("the message is not JSON, at byte {}", where.position);
        return std::nullopt;
    }
    if (!json_object_get(parsed.get(), "type") || !json_object_get(parsed.get(), "payload")) {
        error = "the message is not a JSON object with the keys type and payload";
        return std::nullopt;
    }
    std::string element;
    element.reserve(message.size() + 40);
    fmt::format_to(std::back_inserter(element), R"({{"id":{},"message":)", id);
    element += message;
    element += '}';
    return element;
}

std::string subscription_outdated_frame(size_t reserve) {
    Frame frame(reserve);
    frame.add(R"({"type":"bus/subscription_outdated","internal":true,"payload":null})");
    return std::move(frame).finish();
}

std::string last_id_reset_frame(Id newest, size_t reserve) {
    Frame frame(reserve);
    frame.add(fmt::format(R"({{"type":"bus/last_id_reset","internal":true,"payload":{}}})", newest));
    return std::move(frame).finish();
}

} // namespace odoo_bus
