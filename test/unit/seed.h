// How randomized tests run: with another seed each time, or the one that ODOO_BUS_TEST_SEED names.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <random>
#include <string>

namespace odoo_bus {

#ifdef __SANITIZE_ADDRESS__
constexpr bool SANITIZED = true;
#else
constexpr bool SANITIZED = false;
#endif

inline uint64_t test_seed() {
    const char* given = getenv("ODOO_BUS_TEST_SEED");
    return given ? std::stoull(given) : std::random_device{}();
}

// For SCOPED_TRACE: says how to run the same again.
inline std::string again(uint64_t seed) {
    return "run again with ODOO_BUS_TEST_SEED=" + std::to_string(seed);
}

} // namespace odoo_bus
