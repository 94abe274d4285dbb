// The seed of a randomized test: another one at every run, or the one that ODOO_BUS_TEST_SEED names.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <random>
#include <string>

namespace odoo_bus {

inline uint64_t test_seed() {
    const char* given = getenv("ODOO_BUS_TEST_SEED");
    return given ? std::stoull(given) : std::random_device{}();
}

// For SCOPED_TRACE: says how to run the same again.
inline std::string again(uint64_t seed) {
    return "run again with ODOO_BUS_TEST_SEED=" + std::to_string(seed);
}

} // namespace odoo_bus
