// The body of a request, read within bounds: of an announced length, or in chunks (RFC 9112, section 7.1).
// Every byte is foreign.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace odoo_bus {

class RequestBody {
public:
    enum class State { need_more, complete, malformed, too_large };

    static RequestBody of_length(size_t bytes) { return {Part::data_of_length, bytes, bytes}; }
    // Chunk extensions and trailers are read and dropped.
    static RequestBody in_chunks(size_t max_bytes) { return {Part::size_line, 0, max_bytes}; }

    // What follows the end is ignored. Nothing is read after another state than need_more.
    State feed(std::string_view bytes);
    State state() const { return state_; }

    const std::string& bytes() const { return bytes_; }
    // What it keeps in memory.
    size_t held_bytes() const { return bytes_.capacity() + line_.capacity(); }

private:
    enum class Part : uint8_t { data_of_length, size_line, data, data_end, trailers };

    RequestBody(Part part, size_t left, size_t max_bytes);

    size_t take_data(std::string_view bytes);
    size_t take_line(std::string_view bytes);
    void end_line();
    void begin_chunk();

    Part part_;
    State state_ = State::need_more;
    size_t left_; // of the body, or of the chunk
    size_t max_bytes_;
    size_t framing_ = 0; // bytes that are not the body's
    std::string line_;   // without its end
    std::string bytes_;
};

} // namespace odoo_bus
