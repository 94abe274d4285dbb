// Keyed hashes: SipHash as libsodium has it, and tables whose cost does not depend on the keys that they are
// given.
#include "base/keyed_hash.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <sodium.h>

#include "base/sha256.h"
#include "common/siphash.h"
#include "cost.h"

namespace odoo_bus {
namespace {

constexpr size_t KEYS = 20'000;

// Numbers that share one bucket of a table with an unkeyed hash of as many elements.
std::vector<int64_t> colliding_numbers() {
    std::unordered_map<int64_t, int> table;
    for (size_t i = 0; i < KEYS; ++i)
        table.emplace(static_cast<int64_t>(i), 0);
    std::vector<int64_t> numbers;
    for (size_t i = 0; i < KEYS; ++i)
        numbers.push_back(static_cast<int64_t>(i * table.bucket_count()));
    return numbers;
}

template <class Key>
std::function<void()> filling(std::vector<Key> keys) {
    return [keys = std::move(keys)] {
        KeyedMap<Key, int> table;
        for (const Key& key : keys)
            table.emplace(key, 0);
        EXPECT_EQ(table.size(), keys.size());
    };
}

} // namespace

TEST(SipHash, IsThatOfLibsodium) {
    ASSERT_EQ(crypto_shorthash_BYTES, sizeof(uint64_t));
    unsigned char key[crypto_shorthash_KEYBYTES];
    std::string bytes(300, '\0');
    for (size_t length = 0; length < bytes.size(); ++length) {
        randombytes_buf(key, sizeof key);
        randombytes_buf(bytes.data(), bytes.size());
        SipHashKey ours;
        static_assert(sizeof ours == sizeof key);
        std::memcpy(&ours, key, sizeof key);
        uint64_t hash;
        crypto_shorthash(reinterpret_cast<unsigned char*>(&hash),
                         reinterpret_cast<const unsigned char*>(bytes.data()), length, key);
        ASSERT_EQ(siphash(ours, std::string_view(bytes).substr(0, length)), hash) << length;
    }
}

// The example of the paper's appendix: the key is 00 01 ... 0f, the text 00 01 ... 0e.
TEST(SipHash, IsThatOfThePaper) {
    std::string text;
    for (char c = 0; c < 15; ++c)
        text.push_back(c);
    EXPECT_EQ(siphash({0x0706050403020100, 0x0f0e0d0c0b0a0908}, text), 0xa129ca6149be45e5);
}

TEST(KeyedHash, IsStableWithinAProcessAndDependsOnEachByte) {
    const std::string text = "[\"db\",\"channel\"]";
    const KeyedHash hash;
    EXPECT_EQ(hash(text), hash(std::string(text)));
    for (size_t i = 0; i < text.size(); ++i) {
        std::string other = text;
        ++other[i];
        EXPECT_NE(hash(other), hash(text));
    }
}

TEST(KeyedHash, NumbersThatCollideElsewhereCostNoMore) {
    std::vector<int64_t> plain(KEYS);
    std::generate(plain.begin(), plain.end(), [n = int64_t{0}]() mutable { return n++; });
    EXPECT_LE(cost_ratio(filling(colliding_numbers()), filling(plain)), 2);
}

TEST(KeyedHash, DigestsWithEqualBytesDoNotCollide) {
    Digest a{}, b{};
    b[31] = 1;
    EXPECT_NE(DigestHash()(a), DigestHash()(b));
}

} // namespace odoo_bus
