// Deadlines of unit tests, which scale with what the machine can do, as those of test/harness/deadline.py.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdlib>

namespace odoo_bus {

template <class Duration>
auto scaled(Duration duration) {
    const char* slowness = getenv("ODOO_BUS_TEST_SLOWNESS");
    return std::chrono::duration_cast<std::chrono::milliseconds>(
        duration * (slowness ? std::max(atof(slowness), 1.0) : 1.0));
}

} // namespace odoo_bus
