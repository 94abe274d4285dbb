// The query of a request target.
#include "http/query.h"

namespace odoo_bus {

namespace {

int hexadecimal(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

} // namespace

std::optional<std::string> percent_decode(std::string_view text) {
    std::string decoded;
    decoded.reserve(text.size());
    for (size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '+') {
            decoded.push_back(' ');
        } else if (text[i] == '%') {
            if (text.size() - i < 3 || hexadecimal(text[i + 1]) < 0 || hexadecimal(text[i + 2]) < 0)
                return std::nullopt;
            decoded.push_back(static_cast<char>(hexadecimal(text[i + 1]) * 16 + hexadecimal(text[i + 2])));
            i += 2;
        } else {
            decoded.push_back(text[i]);
        }
    }
    return decoded;
}

std::optional<Query> parse_query(std::string_view query, size_t max_pairs) {
    Query pairs;
    while (!query.empty()) {
        const size_t end = query.find('&');
        const std::string_view pair = query.substr(0, end);
        query.remove_prefix(end == query.npos ? query.size() : end + 1);
        if (pair.empty())
            continue;
        if (pairs.size() == max_pairs)
            return std::nullopt;
        const size_t equals = pair.find('=');
        auto name = percent_decode(pair.substr(0, equals));
        auto value = percent_decode(equals == pair.npos ? std::string_view() : pair.substr(equals + 1));
        if (!name || !value)
            return std::nullopt;
        pairs.emplace_back(std::move(*name), std::move(*value));
    }
    return pairs;
}

std::optional<std::string_view> query_value(const Query& query, std::string_view name) {
    for (const auto& [key, value] : query)
        if (key == name)
            return value;
    return std::nullopt;
}

} // namespace odoo_bus
