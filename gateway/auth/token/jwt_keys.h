// The keys by which tokens are verified: a secret, public keys in PEM, or a JSON Web Key Set (RFC 7517).
//
// A key belongs to one algorithm and is never used with another: a token cannot choose to take a public key
// for a secret.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <jansson.h>

namespace odoo_bus {

struct JwtKey {
    std::string algorithm; // HS256, RS256 or ES256
    std::string id;        // `kid`, or empty
    // What José takes: `alg` and the members of a secret or a public key, nothing else.
    std::shared_ptr<const json_t> jwk;

    bool verifies(const json_t* jws) const; // from any thread
};

struct JwtKeys {
    std::vector<JwtKey> keys = {};
    std::vector<std::string> ignored = {}; // keys of the set that cannot be used: which, and why
    std::string problem = {};              // why there are no keys; no part of a key is repeated
    bool has_secrets = false;              // the text contains keys that sign, and must be private
};

// `text`: of a file.
JwtKeys parse_jwt_keys(std::string_view text);

// Nothing unless `text` is base64url without padding (RFC 7515, section 2) as an encoder writes it.
std::optional<std::string> decode_base64url(std::string_view text);

} // namespace odoo_bus
