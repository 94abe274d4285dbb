// The one writer of what the server sends.
#include "frame.h"

#include <spdlog/fmt/fmt.h>

#include "json.h"

namespace odoo_bus {

namespace {

// Generous, since rows come from the database's users; they bound the stack and the memory of a parse.
constexpr size_t MAX_MESSAGE_DEPTH = 512;
constexpr size_t MAX_MESSAGE_VALUES = 1'000'000;

bool is_surrogate_escape(std::string_view text) {
    return text.size() >= 6 && text.starts_with("\\u") && (text[2] == 'd' || text[2] == 'D') &&
           ((text[3] >= '8' && text[3] <= '9') || (text[3] >= 'a' && text[3] <= 'f') ||
            (text[3] >= 'A' && text[3] <= 'F'));
}

// Python writes half a surrogate pair, and JavaScript reads it; jansson does not. For validation only: each
// half becomes another character.
std::string without_surrogates(std::string_view json) {
    std::string text(json);
    for (size_t i = 0; i + 1 < text.size(); ++i) {
        if (text[i] != '\\')
            continue;
        if (is_surrogate_escape(std::string_view(text).substr(i)))
            text[i + 3] = '0';
        ++i;
    }
    return text;
}

Json parse(std::string_view text, json_error_t& error) {
    // Integers may have any size, and strings may hold NUL: other parsers take both.
    return Json(json_loadb(text.data(), text.size(), JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, &error));
}

} // namespace

std::optional<std::string> make_element(Id id, std::string_view message, std::string& error) {
    const JsonExtent extent = json_extent(message);
    if (extent.depth > MAX_MESSAGE_DEPTH || extent.values > MAX_MESSAGE_VALUES) {
        error = fmt::format("the message is nested deeper than {} levels or holds more than {} values",
                            MAX_MESSAGE_DEPTH, MAX_MESSAGE_VALUES);
        return std::nullopt;
    }
    json_error_t where;
    Json parsed = parse(message, where);
    if (!parsed && message.find("\\u") != message.npos)
        parsed = parse(without_surrogates(message), where);
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
