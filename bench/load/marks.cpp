// The mark in every message that is sent for a benchmark.
#include "marks.h"

#include <cstring>

namespace bench {

namespace {

// False when one of them is no digit.
template <class Number>
bool digits(std::string_view text, Number& number) {
    number = 0;
    for (const char c : text) {
        if (c < '0' || c > '9')
            return false;
        number = number * 10 + static_cast<Number>(c - '0');
    }
    return true;
}

bool is_separator_where_it_must_be(std::string_view bytes) {
    constexpr struct {
        size_t at;
        char separator;
    } SEPARATORS[] = {{9, '.'}, {20, '@'}, {37, '#'}};
    for (const auto& [at, separator] : SEPARATORS)
        if (bytes.size() > at && bytes[at] != separator)
            return false;
    return true;
}

} // namespace

// `bytes` begins with "#".
MarkReader::Parse MarkReader::parse(std::string_view bytes, Mark& mark) {
    if (!is_separator_where_it_must_be(bytes))
        return Parse::other;
    if (bytes.size() < Mark::LENGTH)
        return Parse::cut;
    return digits(bytes.substr(1, 8), mark.channel) && digits(bytes.substr(10, 10), mark.sequence) &&
                   digits(bytes.substr(21, 16), mark.sent_us)
               ? Parse::mark
               : Parse::other;
}

void MarkReader::keep(std::string_view bytes) {
    memmove(kept_bytes_.data(), bytes.data(), bytes.size());
    kept_ = static_cast<uint8_t>(bytes.size());
}

Sequence::Verdict Sequence::receive(uint64_t sequence) {
    if (sequence < next_)
        return {.lost = 0, .doubled = true};
    const uint64_t lost = sequence - next_;
    next_ = sequence + 1;
    return {.lost = lost, .doubled = false};
}

uint64_t Sequence::finish(uint64_t last) {
    if (last < next_)
        return 0;
    const uint64_t missing = last + 1 - next_;
    next_ = last + 1;
    return missing;
}

} // namespace bench
