// The head of a request by HTTP/1.1, or by HTTP/1.0 as health checks send it, read byte by byte within bounds
// and judged strictly (RFC 9112).
//
// libwebsockets drops a head of more than 4 kB without an answer, and takes two Host headers, so it gets to
// see only heads that were judged here and written anew (handshake.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "http/http_response.h"

namespace odoo_bus {

class RequestHead {
public:
    enum class State { need_more, complete, refused };

    // A head of more than `max_bytes`, with its final empty line, is refused.
    explicit RequestHead(size_t max_bytes) : max_bytes_(max_bytes) {}
    RequestHead(const RequestHead&) = delete; // names and values are views into it
    RequestHead& operator=(const RequestHead&) = delete;

    // Takes all of `bytes`; what follows the head is kept for rest(). Nothing is read after `complete` or
    // `refused`.
    State feed(std::string_view bytes);
    State state() const { return state_; }

    // When the client did not finish in time.
    State time_out();

    // When refused: the answer.
    const Response& refusal() const { return refusal_; }

    // When complete. All views are valid as long as this object.
    size_t head_bytes() const { return parsed_; }
    std::string_view head() const { return std::string_view(buffer_).substr(0, parsed_); }
    std::string_view rest() const { return std::string_view(buffer_).substr(parsed_); } // what came after it
    std::string_view method() const { return view(method_); }
    std::string_view path() const { return view(path_); }   // as sent, not decoded; begins with "/"
    std::string_view query() const { return view(query_); } // without "?", not decoded

    // Has no Host, if it likes.
    bool is_http_1_0() const { return is_http_1_0_; }

    size_t header_count() const { return headers_.size(); }
    std::pair<std::string_view, std::string_view> header(size_t i) const; // in the order they came

    // Names are compared without case. Values are trimmed.
    size_t count(std::string_view name) const;
    std::optional<std::string_view> first(std::string_view name) const;
    std::vector<std::string_view> all(std::string_view name) const;
    // All values of a header that is a comma-separated list, as one list; empty when there is none.
    std::string joined(std::string_view name) const;
    // True when such a list has this token, compared without case.
    bool has_token(std::string_view name, std::string_view token) const;

    // What it keeps in memory.
    size_t held_bytes() const { return buffer_.capacity() + headers_.capacity() * sizeof(Header); }

    std::optional<uint64_t> content_length() const { return content_length_; }
    bool is_chunked() const { return count("transfer-encoding") != 0; }

    // All Cookie headers joined with "; " as one.
    std::string cookies() const;
    // The value of the first cookie of that name. Cookie names have case.
    std::optional<std::string_view> cookie(std::string_view name) const;

private:
    struct Range {
        uint32_t begin = 0;
        uint32_t length = 0;
    };
    struct Header {
        Range name;
        Range value;
    };

    std::string_view view(Range range) const { return {buffer_.data() + range.begin, range.length}; }
    Range range_of(std::string_view part) const;
    void refuse(int status, std::string_view reason);
    void parse_request_line(std::string_view line);
    void parse_target(std::string_view target);
    void parse_header(std::string_view line);
    void judge();

    const size_t max_bytes_;
    State state_ = State::need_more;
    std::string buffer_;
    size_t scanned_ = 0; // no line end before this
    size_t parsed_ = 0;  // lines before this are parsed
    Range method_, authority_, path_, query_;
    bool is_http_1_0_ = false;
    std::vector<Header> headers_;
    std::optional<uint64_t> content_length_;
    Response refusal_;
};

bool equal_ignoring_case(std::string_view a, std::string_view b);

} // namespace odoo_bus
