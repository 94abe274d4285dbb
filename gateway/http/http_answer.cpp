// The answer of an HTTP server that is asked once per connection, read within bounds.
#include "http/http_answer.h"

#include <algorithm>
#include <charconv>

#include "base/text.h"
#include "http/request_head.h"

namespace odoo_bus {

namespace {

constexpr size_t MAX_HEADERS = 200;
constexpr size_t MAX_CHUNK_LINE = 1024;
constexpr int SWITCHING = 101;

bool has_control_character(std::string_view text) {
    return std::ranges::any_of(text, [](char c) {
        const auto byte = static_cast<unsigned char>(c);
        return byte < ' ' || byte == 0x7f;
    });
}

// All of `text` as a number.
std::optional<uint64_t> parse_number(std::string_view text, int base) {
    uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
    return error == std::errc() && end == text.data() + text.size() ? std::optional(number) : std::nullopt;
}

} // namespace

HttpAnswer::State HttpAnswer::refuse(std::string_view problem) {
    if (state_ == State::need_more) {
        state_ = State::broken;
        problem_ = problem;
    }
    return state_;
}

HttpAnswer::State HttpAnswer::feed(std::string_view bytes) {
    if (state_ != State::need_more)
        return state_;
    if (has_head_) {
        take_body(bytes);
        return state_;
    }
    const size_t known = head_.size();
    head_.append(bytes.substr(0, bounds_.head_bytes + 1 - known));
    const size_t end = head_.find("\r\n\r\n", known < 3 ? 0 : known - 3);
    if (end == head_.npos)
        return head_.size() > bounds_.head_bytes ? refuse("the head of the answer is too long") : state_;
    take_head(std::string_view(head_).substr(0, end + 2));
    bytes.remove_prefix(end + 4 - known);
    if (state_ == State::need_more && status_ == SWITCHING) {
        body_ = bytes;
        return state_ = State::complete;
    }
    if (state_ == State::need_more)
        judge();
    if (state_ == State::need_more)
        take_body(bytes);
    return state_;
}

void HttpAnswer::take_head(std::string_view head) {
    has_head_ = true;
    bool first = true;
    while (!head.empty()) {
        const size_t end = head.find("\r\n");
        const std::string_view line = head.substr(0, end);
        head.remove_prefix(end + 2);
        if (std::exchange(first, false)) {
            if (!take_status_line(line)) {
                refuse("the answer does not begin with a status line");
                return;
            }
            continue;
        }
        const size_t colon = line.find(':');
        if (colon == line.npos || colon == 0 || line[0] == ' ' || line[0] == '\t') {
            refuse("a line of the answer's head is no header");
            return;
        }
        const std::string_view value = trim(line.substr(colon + 1));
        if (has_control_character(line.substr(0, colon)) || has_control_character(value)) {
            refuse("a header of the answer has a control character");
            return;
        }
        if (headers_.size() >= MAX_HEADERS) {
            refuse("the answer has too many headers");
            return;
        }
        headers_.emplace_back(trim(line.substr(0, colon)), value);
    }
}

bool HttpAnswer::take_status_line(std::string_view line) {
    if (!line.starts_with("HTTP/1.") || line.size() < 12 || line[8] != ' ' ||
        (line.size() > 12 && line[12] != ' '))
        return false;
    const auto status = parse_number(line.substr(9, 3), 10);
    const bool is_asked_for = status == SWITCHING ? bounds_.may_switch : status >= 200u; // no other 1xx is
    if (!status || !is_asked_for || *status > 599)
        return false;
    status_ = static_cast<int>(*status);
    return true;
}

void HttpAnswer::judge() {
    for (const auto& [name, value] : headers_) {
        if (equal_ignoring_case(name, "content-length")) {
            const auto length = parse_number(value, 10);
            if (!length || (length_ && *length_ != *length)) {
                refuse("the answer's Content-Length is not one number");
                return;
            }
            length_ = length;
        } else if (equal_ignoring_case(name, "transfer-encoding")) {
            if (chunked_ || !equal_ignoring_case(value, "chunked")) {
                refuse("the answer comes in a transfer encoding that was not asked for");
                return;
            }
            chunked_ = true;
        } else if (equal_ignoring_case(name, "content-encoding") && !equal_ignoring_case(value, "identity")) {
            refuse("the answer comes in a content encoding that was not asked for");
            return;
        }
    }
    if (chunked_ && length_)
        refuse("the answer has both a length and chunks");
    else if (length_ && *length_ > bounds_.body_bytes)
        refuse("the answer is too long");
    else if (status_ == 204 || status_ == 304 || length_ == 0u)
        state_ = State::complete;
}

void HttpAnswer::add_to_body(std::string_view bytes) {
    if (body_.size() + bytes.size() > bounds_.body_bytes)
        refuse("the answer is too long");
    else
        body_ += bytes;
}

void HttpAnswer::take_body(std::string_view bytes) {
    if (chunked_) {
        chunks_ += bytes;
        return take_chunks();
    }
    if (length_)
        bytes = bytes.substr(0, *length_ - body_.size());
    add_to_body(bytes);
    if (state_ == State::need_more && length_ && body_.size() == *length_)
        state_ = State::complete;
}

void HttpAnswer::take_chunks() {
    std::string_view left = chunks_;
    while (state_ == State::need_more) {
        // The same verdict however the answer is cut, and no look beyond the line.
        const std::string_view begin = left.substr(0, MAX_CHUNK_LINE + 2);
        const size_t line_end = begin.find("\r\n");
        if (line_end == begin.npos) {
            if (begin.size() == MAX_CHUNK_LINE + 2)
                refuse("a chunk of the answer has no length");
            break;
        }
        const std::string_view line = begin.substr(0, line_end);
        const auto size = parse_number(trim(line.substr(0, line.find(';'))), 16);
        if (!size || *size > bounds_.body_bytes) {
            refuse(size ? "the answer is too long" : "a chunk of the answer has no length");
            break;
        }
        if (*size == 0) {
            state_ = State::complete; // trailers are not read
            break;
        }
        const std::string_view chunk = left.substr(line_end + 2);
        if (chunk.size() < *size + 2)
            break;
        if (chunk.substr(*size, 2) != "\r\n") {
            refuse("a chunk of the answer is longer than it says");
            break;
        }
        add_to_body(chunk.substr(0, *size));
        left = chunk.substr(*size + 2);
    }
    chunks_.erase(0, chunks_.size() - left.size());
}

HttpAnswer::State HttpAnswer::end() {
    if (state_ != State::need_more)
        return state_;
    if (!has_head_)
        return refuse(head_.empty() ? "the connection was closed without an answer"
                                    : "the connection was closed within the head of the answer");
    if (length_ || chunked_)
        return refuse("the connection was closed within the answer");
    return state_ = State::complete;
}

std::optional<std::string_view> HttpAnswer::header(std::string_view name) const {
    for (const auto& [key, value] : headers_)
        if (equal_ignoring_case(key, name))
            return value;
    return std::nullopt;
}

std::vector<std::string_view> HttpAnswer::all(std::string_view name) const {
    std::vector<std::string_view> values;
    for (const auto& [key, value] : headers_)
        if (equal_ignoring_case(key, name))
            values.push_back(value);
    return values;
}

} // namespace odoo_bus
