// The reader of what a server sends.
#include "protocol/received_frame.h"

#include <charconv>
#include <cmath>
#include <ctime>

#include "base/json.h"
#include "base/json_slice.h"

namespace odoo_bus {

namespace {

// Takes `digits` digits from the front of `text`.
bool take_number(std::string_view& text, size_t digits, int& number) {
    if (text.size() < digits)
        return false;
    const auto [end, error] = std::from_chars(text.data(), text.data() + digits, number);
    if (error != std::errc() || end != text.data() + digits || text[0] == '-')
        return false;
    text.remove_prefix(digits);
    return true;
}

bool take_one_of(std::string_view& text, std::string_view characters) {
    if (text.empty() || characters.find(text[0]) == characters.npos)
        return false;
    text.remove_prefix(1);
    return true;
}

// Not from the parsed frame, in which a larger integer elsewhere may have turned all of them into reals.
std::optional<int64_t> integer_of(std::string_view text) {
    int64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    return error == std::errc() && end == text.data() + text.size() ? std::optional(number) : std::nullopt;
}

std::optional<int64_t> sent_us_of(const json_t* payload) {
    const json_t* sent = json_object_get(payload, "sent_at");
    if (json_is_number(sent) && std::fabs(json_number_value(sent)) < 9e12)
        return std::llround(json_number_value(sent) * 1e6);
    if (json_is_string(sent))
        return parse_iso_time({json_string_value(sent), json_string_length(sent)});
    return std::nullopt;
}

} // namespace

std::optional<int64_t> parse_iso_time(std::string_view text) {
    std::tm time{};
    if (!take_number(text, 4, time.tm_year) || !take_one_of(text, "-") ||
        !take_number(text, 2, time.tm_mon) || !take_one_of(text, "-") ||
        !take_number(text, 2, time.tm_mday) || !take_one_of(text, "T ") ||
        !take_number(text, 2, time.tm_hour) || !take_one_of(text, ":") ||
        !take_number(text, 2, time.tm_min) || !take_one_of(text, ":") || !take_number(text, 2, time.tm_sec))
        return std::nullopt;
    time.tm_year -= 1900;
    time.tm_mon -= 1;
    int64_t fraction = 0;
    if (take_one_of(text, ".,")) {
        int digit = 0;
        for (int64_t unit = 100'000; take_number(text, 1, digit); unit /= 10)
            fraction += digit * unit;
    }
    int hours = 0;
    int minutes = 0;
    int sign = 0;
    if (text.starts_with('+') || text.starts_with('-')) {
        sign = text[0] == '+' ? 1 : -1;
        text.remove_prefix(1);
        if (!take_number(text, 2, hours))
            return std::nullopt;
        take_one_of(text, ":");
        if (!text.empty() && !take_number(text, 2, minutes))
            return std::nullopt;
    } else {
        take_one_of(text, "Z");
    }
    if (!text.empty())
        return std::nullopt;
    const int64_t seconds = timegm(&time) - sign * (hours * 3600 + minutes * 60);
    return seconds * 1'000'000 + fraction;
}

std::optional<std::vector<ReceivedElement>> read_frame(std::string_view frame) {
    const Json parsed = parse_lenient(frame);
    if (!json_is_array(parsed.get()))
        return std::nullopt;
    std::vector<ReceivedElement> elements;
    const auto texts = json_elements(frame);
    for (size_t i = 0; i < texts.size(); ++i) {
        ReceivedElement& element = elements.emplace_back();
        element.text = texts[i];
        const json_t* value = json_array_get(parsed.get(), i);
        element.id = integer_of(json_member(element.text, "id").value_or(""));
        // Internal elements have type and payload of their own, without a message around them.
        const auto message_text = json_member(element.text, "message");
        const json_t* message = json_object_get(value, "message");
        if (!message)
            message = value;
        if (const json_t* type = json_object_get(message, "type"); json_is_string(type))
            element.type.assign(json_string_value(type), json_string_length(type));
        element.payload = json_member(message_text.value_or(element.text), "payload").value_or("");
        element.sent_us = sent_us_of(json_object_get(message, "payload"));
    }
    return elements;
}

} // namespace odoo_bus
