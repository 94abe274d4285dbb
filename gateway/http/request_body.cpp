// The body of a request: of an announced length, or in chunks.
#include "http/request_body.h"

#include <algorithm>
#include <charconv>

namespace odoo_bus {

namespace {

// Of a chunk's size with its extensions, and of a trailer.
constexpr size_t MAX_LINE = 1024;
// A chunk of one byte has five more. What extensions and trailers add to that is bounded.
constexpr size_t FRAMING_OF_A_BYTE = 5;
constexpr size_t MAX_SPARE_FRAMING = 16 << 10;

bool is_control_character(char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte < ' ' && byte != '\t') || byte == 0x7f;
}

} // namespace

RequestBody::RequestBody(Part part, size_t left, size_t max_bytes)
    : part_(part), left_(left), max_bytes_(max_bytes) {
    if (part == Part::data_of_length && left == 0)
        state_ = State::complete;
}

RequestBody::State RequestBody::feed(std::string_view bytes) {
    while (state_ == State::need_more && !bytes.empty()) {
        const bool is_data = part_ == Part::data_of_length || part_ == Part::data;
        bytes.remove_prefix(is_data ? take_data(bytes) : take_line(bytes));
    }
    return state_;
}

size_t RequestBody::take_data(std::string_view bytes) {
    const size_t taken = std::min(bytes.size(), left_);
    bytes_.append(bytes.substr(0, taken));
    left_ -= taken;
    if (left_ == 0 && part_ == Part::data)
        part_ = Part::data_end;
    else if (left_ == 0)
        state_ = State::complete;
    return taken;
}

size_t RequestBody::take_line(std::string_view bytes) {
    const size_t end = bytes.find('\n');
    const size_t taken = end == bytes.npos ? bytes.size() : end + 1;
    // Not a byte more is kept than a line may have.
    const std::string_view part = bytes.substr(0, std::min(end, MAX_LINE + 2 - line_.size()));
    line_ += part;
    framing_ += taken;
    if (line_.size() > MAX_LINE + 1 || framing_ > bytes_.size() * FRAMING_OF_A_BYTE + MAX_SPARE_FRAMING)
        state_ = State::malformed;
    else if (end != bytes.npos)
        end_line();
    return taken;
}

void RequestBody::end_line() {
    if (!line_.ends_with('\r')) {
        state_ = State::malformed;
        return;
    }
    line_.pop_back();
    if (std::ranges::any_of(line_, is_control_character))
        state_ = State::malformed;
    else if (part_ == Part::size_line)
        begin_chunk();
    else if (part_ == Part::data_end && line_.empty())
        part_ = Part::size_line;
    else if (part_ == Part::data_end)
        state_ = State::malformed; // the chunk is longer than it says
    else if (line_.empty())
        state_ = State::complete;
    else if (const size_t colon = line_.find(':'); colon == 0 || colon == line_.npos)
        state_ = State::malformed; // no trailer
    line_.clear();
}

// The size, and extensions behind a semicolon. Servers differ on anything else, such as blanks, a sign or 0x.
void RequestBody::begin_chunk() {
    std::string_view digits = line_;
    if (const size_t semicolon = digits.find(';'); semicolon != digits.npos) {
        digits = digits.substr(0, semicolon);
        digits = digits.substr(0, digits.find_last_not_of(" \t") + 1);
    }
    uint64_t size = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), size, 16);
    if (error == std::errc::invalid_argument || end != digits.data() + digits.size())
        state_ = State::malformed;
    else if (error != std::errc() || size > max_bytes_ - bytes_.size())
        state_ = State::too_large;
    else
        part_ = size == 0 ? Part::trailers : Part::data;
    left_ = size;
}

} // namespace odoo_bus
