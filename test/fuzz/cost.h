// What a parser may cost: eight times as many parts take about eight times as long, whatever they hold.
#pragma once

#include <algorithm>
#include <cassert>
#include <string>
#include <string_view>

#include "base/fingerprint.h"
#include "test/unit/cost.h"

namespace odoo_bus {

// One input in so many is measured: the same ones in each run, so that a finding can be repeated.
inline bool is_measured(std::string_view input, uint64_t one_in = 1024) {
    return fingerprint(input) % one_in == 0;
}

// `input`: makes one of so many parts. Parts must be less than a kilobyte long.
template <class Input, class Parse>
void assert_linear(size_t parts, Input&& input, Parse&& parse) {
    constexpr double TOO_SHORT = 0.1; // of which the machine's other work would be too large a share
    constexpr double MOST = 32;       // quadratic is 64
    const auto cost = [&](size_t number) {
        const std::string text = input(number);
        double best = 1e9;
        for (int round = 0; round < 2; ++round) {
            const double begin = thread_seconds();
            parse(text);
            best = std::min(best, thread_seconds() - begin);
        }
        return best;
    };
    const double many = cost(parts * 8);
    if (many > TOO_SHORT)
        assert(many < MOST * cost(parts));
}

} // namespace odoo_bus
