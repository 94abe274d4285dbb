// Whatever stands behind the question mark of a request's target: what is read means the same when it is
// written again.
#include "http/query.h"

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "cost.h"

using namespace odoo_bus;

namespace {

constexpr size_t MOST_PAIRS = 64;

std::string encode(std::string_view text) {
    constexpr std::string_view DIGITS = "0123456789abcdef";
    std::string encoded;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        encoded += {'%', DIGITS[byte >> 4], DIGITS[byte & 15]};
    }
    return encoded;
}

// The number of pairs that are not empty, counted without decoding.
size_t pairs_in(std::string_view text) {
    size_t pairs = 0;
    bool is_empty = true;
    for (const char c : text) {
        pairs += c == '&' && !is_empty;
        is_empty = c == '&';
    }
    return pairs + !is_empty;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    assert(percent_decode(encode(text)) == text);
    const auto decoded = percent_decode(text);
    assert(decoded.has_value() || text.find('%') != text.npos);
    if (decoded)
        assert(decoded->size() == text.size() - 2 * static_cast<size_t>(std::ranges::count(text, '%')));

    const auto query = parse_query(text, MOST_PAIRS);
    assert(!query || query->size() == pairs_in(text));
    assert(pairs_in(text) <= MOST_PAIRS || !query);
    // A text that can be decoded as a whole can be decoded in its parts.
    assert(query || !decoded || pairs_in(text) > MOST_PAIRS);
    if (query) {
        std::string again;
        for (const auto& [name, value] : *query) {
            again += (again.empty() ? "" : "&") + encode(name) + "=" + encode(value);
            const auto first = std::ranges::find(*query, name, &std::pair<std::string, std::string>::first);
            assert(query_value(*query, name) == first->second);
        }
        assert(parse_query(again, MOST_PAIRS) == query);
    }
    if (size < 64 && is_measured(text))
        assert_linear(
            2'000,
            [&](size_t parts) {
                std::string many;
                for (size_t i = 0; i < parts; ++i)
                    many += std::string(text) + "&a" + std::to_string(i) + "=1";
                return many;
            },
            [](const std::string& many) { parse_query(many, 1'000'000); });
    return 0;
}
