// SipHash-2-4 with a random key.
#include "base/keyed_hash.h"

#include <array>
#include <cstring>

#include <sodium.h>

namespace odoo_bus {

namespace {

using Key = std::array<unsigned char, crypto_shorthash_KEYBYTES>;

const Key& key() {
    static const Key drawn = [] {
        Key bytes;
        // The kernel's random numbers, also before sodium_init().
        randombytes_buf(bytes.data(), bytes.size());
        return bytes;
    }();
    return drawn;
}

} // namespace

size_t KeyedHash::operator()(std::string_view bytes) const {
    std::array<unsigned char, crypto_shorthash_BYTES> hash;
    crypto_shorthash(hash.data(), reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(),
                     key().data());
    size_t value;
    std::memcpy(&value, hash.data(), sizeof value);
    return value;
}

size_t KeyedHash::operator()(int64_t number) const {
    return (*this)(std::string_view(reinterpret_cast<const char*>(&number), sizeof number));
}

} // namespace odoo_bus
