#include "cost_case.h"

#include <spdlog/fmt/fmt.h>

namespace odoo_bus {

MakeText repeated(std::string begin, std::string part, std::string end) {
    return [=](size_t bytes) {
        std::string text = begin;
        while (text.size() + part.size() + end.size() <= bytes)
            text += part;
        return text + end;
    };
}

MakeText numbered(std::string begin, std::string part, std::string end) {
    return [=](size_t bytes) {
        std::string text = begin;
        for (size_t number = 0; text.size() + part.size() + end.size() + 8 <= bytes; ++number)
            for (const char c : part)
                c == '#' ? (void)(text += std::to_string(number)) : text.push_back(c);
        return text + end;
    };
}

MakeText inside(std::string begin, MakeText make, std::string end) {
    return [=](size_t bytes) {
        const size_t around = begin.size() + end.size();
        return begin + make(bytes > around ? bytes - around : 0) + end;
    };
}

std::vector<HostileJson> hostile_json() {
    const MakeText deep = [](size_t bytes) {
        return std::string(bytes / 2, '[') + std::string(bytes / 2, ']');
    };
    return {
        {"numbers", repeated("[0", ",0", "]")},
        {"reals", repeated("[1e9", ",1e9", "]")},
        {"long_numbers", repeated("[", "1111111111111111111111111111111111111111", "]")},
        {"long_fractions", repeated("[0.", "1111111111111111111111111111111111111111", "]")},
        {"texts", repeated("[\"\"", ",\"\"", "]")},
        {"arrays", repeated("[[]", ",[]", "]")},
        {"objects", repeated("[{}", ",{}", "]")},
        {"members", numbered("{\"a\":0", ",\"#\":0", "}")},
        {"equal_members", repeated("{\"a\":0", ",\"a\":0", "}")},
        {"escapes", repeated("\"", "\\n", "\"")},
        {"unicode_escapes", repeated("\"", "\\u00e4", "\"")},
        {"surrogates", repeated("\"", "\\ud83d\\ude00", "\"")},
        {"lone_surrogates", repeated("\"", "\\ud83d", "\"")},
        {"nulls", repeated("\"", "\\u0000", "\"")},
        {"utf8", repeated("\"", "\xf0\x9f\x98\x80", "\"")},
        {"utf8_cut", repeated("\"", "\xf0\x9f\x98\x80", "\xf0\x9f\"")},
        {"deep", deep},
        {"depth_15", repeated("[", "[[[[[[[[[[[[[[]]]]]]]]]]]]]],", "0]")},
        {"unclosed", repeated("", "[", "")},
        {"unclosed_text", repeated("\"", "a", "")},
        {"spaces", repeated("[", " ", "]")},
        {"commas", repeated("[", ",", "]")},
        {"backslashes", repeated("\"", "\\\\", "\"")},
        // What makes a parser try again comes last.
        {"overflow_at_the_end", repeated("[", "0,", "99999999999999999999]")},
        {"surrogate_at_the_end", repeated("[", "0,", "\"\\ud800\"]")},
        {"both_at_the_end", repeated("[", "0,", "99999999999999999999,\"\\ud800\"]")},
    };
}

} // namespace odoo_bus
