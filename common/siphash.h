// siphash.h: SipHash-2-4 (Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012), for the
// extension, which links no library. The gateway uses libsodium's, with which a unit test compares this one.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace odoo_bus {

struct SipHashKey {
    std::uint64_t first, second;
};

inline std::uint64_t siphash(const SipHashKey& key, std::string_view bytes) {
    std::uint64_t v0 = key.first ^ 0x736f6d6570736575, v1 = key.second ^ 0x646f72616e646f6d,
                  v2 = key.first ^ 0x6c7967656e657261, v3 = key.second ^ 0x7465646279746573;
    const auto rounds = [&](int count) {
        for (; count > 0; --count) {
            v0 += v1, v1 = std::rotl(v1, 13) ^ v0, v0 = std::rotl(v0, 32);
            v2 += v3, v3 = std::rotl(v3, 16) ^ v2;
            v0 += v3, v3 = std::rotl(v3, 21) ^ v0;
            v2 += v1, v1 = std::rotl(v1, 17) ^ v2, v2 = std::rotl(v2, 32);
        }
    };
    const auto take = [&](std::uint64_t word) {
        v3 ^= word;
        rounds(2);
        v0 ^= word;
    };
    std::size_t at = 0;
    for (; bytes.size() - at >= 8; at += 8) {
        std::uint64_t word = 0;
        for (std::size_t i = 0; i < 8; ++i)
            word |= std::uint64_t{static_cast<unsigned char>(bytes[at + i])} << (8 * i);
        take(word);
    }
    // The last word ends with the length, modulo 256.
    std::uint64_t last = std::uint64_t{bytes.size() & 0xff} << 56;
    for (std::size_t i = 0; at + i < bytes.size(); ++i)
        last |= std::uint64_t{static_cast<unsigned char>(bytes[at + i])} << (8 * i);
    take(last);
    v2 ^= 0xff;
    rounds(4);
    return v0 ^ v1 ^ v2 ^ v3;
}

} // namespace odoo_bus
