// SHA-256, by OpenSSL.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include <openssl/evp.h>

#include "base/keyed_hash.h"

namespace odoo_bus {

using Digest = std::array<uint8_t, 32>;

struct DigestHash {
    // What is digested may be chosen, and many digests be tried until enough of their bytes are equal.
    size_t operator()(const Digest& digest) const {
        return KeyedHash()(std::string_view(reinterpret_cast<const char*>(digest.data()), digest.size()));
    }
};

// Takes one field after the other; where one ends and the next begins is part of what is hashed.
class Sha256 {
public:
    Sha256() : context_(EVP_MD_CTX_new(), &EVP_MD_CTX_free) {
        EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr);
    }

    Sha256& add(std::string_view field) {
        const uint64_t size = field.size();
        EVP_DigestUpdate(context_.get(), &size, sizeof size);
        EVP_DigestUpdate(context_.get(), field.data(), field.size());
        return *this;
    }

    Digest finish() {
        Digest digest;
        unsigned length = 0;
        EVP_DigestFinal_ex(context_.get(), digest.data(), &length);
        return digest;
    }

private:
    std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
};

} // namespace odoo_bus
