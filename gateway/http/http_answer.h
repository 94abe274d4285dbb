// The answer of an HTTP server that is asked once per connection, read within bounds. Every byte is foreign.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace odoo_bus {

class HttpAnswer {
public:
    enum class State { need_more, complete, broken };

    struct Bounds {
        size_t head_bytes = 32 << 10;
        size_t body_bytes = 4 << 20;
        bool may_switch = false; // 101 is an answer, whose head is all of it
    };

    explicit HttpAnswer(Bounds bounds) : bounds_(bounds) {}

    State feed(std::string_view bytes);
    // The server has closed the connection.
    State end();
    State state() const { return state_; }

    // When broken: why, without a byte of the answer.
    const std::string& problem() const { return problem_; }

    // When complete.
    int status() const { return status_; }
    // Of 101: what followed the head, in another protocol.
    const std::string& body() const { return body_; }
    const std::vector<std::pair<std::string, std::string>>& headers() const { return headers_; }
    // Names are compared without case.
    std::optional<std::string_view> header(std::string_view name) const;
    std::vector<std::string_view> all(std::string_view name) const;

private:
    State refuse(std::string_view problem);
    void take_head(std::string_view head);
    bool take_status_line(std::string_view line);
    void judge();
    void take_body(std::string_view bytes);
    void take_chunks();
    void add_to_body(std::string_view bytes);

    const Bounds bounds_;
    State state_ = State::need_more;
    bool has_head_ = false;
    std::string head_;
    int status_ = 0;
    std::vector<std::pair<std::string, std::string>> headers_;
    std::optional<uint64_t> length_;
    bool chunked_ = false;
    std::string body_;
    std::string chunks_; // chunked: what was received and not decoded yet
    std::string problem_;
};

} // namespace odoo_bus
