// What hostile input costs, compared with plain input of the same size: the processor time of this thread.
#pragma once

#include <algorithm>
#include <chrono>
#include <functional>

#include "base/cpu_time.h"

namespace odoo_bus {

inline double thread_seconds() {
    return std::chrono::duration<double>(thread_cpu_time()).count();
}

// The best of several runs of each, in turns, so that a disturbance of the machine is none of the ratio.
inline double cost_ratio(const std::function<void()>& hostile, const std::function<void()>& plain) {
    double best_hostile = 1e9, best_plain = 1e9;
    const auto measure = [](const std::function<void()>& work, double& best) {
        const double begin = thread_seconds();
        work();
        best = std::min(best, thread_seconds() - begin);
    };
    for (int round = 0; round < 5; ++round) {
        measure(plain, best_plain);
        measure(hostile, best_hostile);
    }
    return best_hostile / best_plain;
}

} // namespace odoo_bus
