// public_key.h: public keys of RSA and of the curve P-256, made and described by OpenSSL 1.1 or 3.
#pragma once

#include <memory>
#include <string>

#include <openssl/evp.h>

namespace odoo_bus {

using PublicKey = std::shared_ptr<EVP_PKEY>;

// Of big-endian numbers; null when they are no key.
PublicKey rsa_public_key(const std::string& modulus, const std::string& exponent);
PublicKey p256_public_key(const std::string& x, const std::string& y);

// The size of its modulus; 0 of a key that is not RSA's.
int rsa_bits(const EVP_PKEY* key);
bool is_p256(const EVP_PKEY* key);

} // namespace odoo_bus
