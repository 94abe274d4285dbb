// A 64-bit hash that is the same on every machine and in every version: of rows, and of what is kept in
// files.
#pragma once

#include <cstdint>
#include <string_view>

#include <xxhash.h>

namespace odoo_bus {

inline uint64_t fingerprint(std::string_view bytes, uint64_t seed = 0) {
    return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

} // namespace odoo_bus
