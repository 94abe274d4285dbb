// The one writer of what the server sends.
#include "protocol/frame.h"

#include <algorithm>

#include <spdlog/fmt/fmt.h>

#include "base/json.h"

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

// --- frames ---

Frame::Frame(size_t reserve, FrameFormat format) : bytes_(reserve, '\0'), format_(format) {
    bytes_ += format == FrameFormat::events ? "data: [" : "[";
}

void Frame::add(Id id, std::string_view channel, std::string_view element) {
    if (!std::exchange(empty_, false))
        bytes_.push_back(',');
    last_ = id;
    if (format_ == FrameFormat::plain)
        return append(element);
    const size_t comma = element.find(','); // behind the id
    append(element.substr(0, comma));
    bytes_ += R"(,"channel":)";
    append(channel);
    append(element.substr(comma));
}

// A line break ends a field of an event stream; in JSON it can only stand between values.
void Frame::append(std::string_view text) {
    const size_t begin = bytes_.size();
    bytes_ += text;
    if (format_ == FrameFormat::events)
        std::replace_if(
            bytes_.begin() + static_cast<std::ptrdiff_t>(begin), bytes_.end(),
            [](char c) { return c == '\n' || c == '\r'; }, ' ');
}

std::string Frame::finish() && {
    bytes_.push_back(']');
    if (format_ == FrameFormat::events)
        fmt::format_to(std::back_inserter(bytes_), "\nid: {}\n\n", last_);
    return std::move(bytes_);
}

namespace {

// `payload`: JSON without line breaks.
std::string internal_frame(FrameShape shape, std::string_view type, std::string_view payload) {
    std::string frame(shape.reserve, '\0');
    const bool is_event = shape.format == FrameFormat::events;
    fmt::format_to(std::back_inserter(frame), R"({}[{{"type":"bus/{}","internal":true,"payload":{}}}]{})",
                   is_event ? "event: internal\ndata: " : "", type, payload, is_event ? "\n\n" : "");
    return frame;
}

std::string dump(const json_t* value) {
    const std::unique_ptr<char, decltype(&free)> text(json_dumps(value, JSON_COMPACT | JSON_ENSURE_ASCII),
                                                      &free);
    return text ? text.get() : "null";
}

} // namespace

std::string subscription_outdated_frame(FrameShape shape) {
    return internal_frame(shape, "subscription_outdated", "null");
}

std::string last_id_reset_frame(Id newest, FrameShape shape) {
    return internal_frame(shape, "last_id_reset", std::to_string(newest));
}

std::string subscribed_frame(const Confirmation& confirmation, FrameShape shape) {
    const Json payload(json_object());
    json_object_set_new(payload.get(), "confirm", json_integer(confirmation.confirm));
    if (confirmation.last > 0)
        json_object_set_new(payload.get(), "last", json_integer(confirmation.last));
    if (!confirmation.refused.empty()) {
        json_t* const refused = json_array();
        for (const std::string& name : confirmation.refused)
            json_array_append_new(refused, json_stringn(name.data(), name.size()));
        json_object_set_new(payload.get(), "refused", refused);
    }
    if (confirmation.failed)
        json_object_set_new(payload.get(), "error", json_string("refused"));
    return internal_frame(shape, "subscribed", dump(payload.get()));
}

std::string pong_frame(Id last, FrameShape shape) {
    return internal_frame(shape, "pong", last > 0 ? fmt::format(R"({{"last":{}}})", last) : "{}");
}

} // namespace odoo_bus
