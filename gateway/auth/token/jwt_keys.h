// The keys by which tokens are verified: a secret, public keys in PEM, or a JSON Web Key Set (RFC 7517).
//
// A key belongs to one algorithm and is never used with another: a token cannot choose to take a public key
// for a secret.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <openssl/evp.h>

namespace odoo_bus {

enum class JwtAlgorithm { hs256, rs256, es256 };

struct JwtKey {
    JwtAlgorithm algorithm;
    std::string id;     // `kid`, or empty
    std::string secret; // of hs256
    std::shared_ptr<EVP_PKEY> key;
};
using JwtKeys = std::vector<JwtKey>;

// `text`: of a file. The keys, or why there are none; no part of it is repeated.
std::variant<JwtKeys, std::string> parse_jwt_keys(std::string_view text);

// Nothing unless `text` is base64url without padding (RFC 7515, section 2) as an encoder writes it.
std::optional<std::string> decode_base64url(std::string_view text);

} // namespace odoo_bus
