// SHA-256, by OpenSSL.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>

#include <openssl/evp.h>

namespace odoo_bus {

using Digest = std::array<uint8_t, 32>;

struct DigestHash {
    size_t operator()(const Digest& digest) const {
        size_t hash;
        std::memcpy(&hash, digest.data(), sizeof hash);
        return hash;
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
