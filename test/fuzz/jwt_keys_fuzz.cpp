// Whatever stands in a key file: a key is used for its own algorithm only, holds no private part, and nothing
// secret is repeated.
#include "auth/token/jwt_keys.h"

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "auth/token/jwt.h"
#include "base/json.h"

extern "C" {
#include <jose/b64.h>
}

using namespace odoo_bus;

namespace {

constexpr int64_t NOW = 1'000'000'000;

std::string base64url(std::string_view bytes) {
    const Json text(jose_b64_enc(bytes.data(), bytes.size()));
    return json_string_value(text.get());
}

// Signed by HMAC with this secret, whatever its header says.
std::string token(std::string_view algorithm, std::string_view secret) {
    const std::string signed_part = base64url(R"({"alg":")" + std::string(algorithm) + R"("})") + "." +
                                    base64url(R"({"exp":2000000000,"channels":["a"]})");
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
         reinterpret_cast<const unsigned char*>(signed_part.data()), signed_part.size(), mac, &length);
    return signed_part + "." + base64url({reinterpret_cast<const char*>(mac), length});
}

bool verifies(std::string_view algorithm, std::string_view secret, const std::vector<JwtKey>& keys) {
    return std::holds_alternative<JwtClaims>(verify_jwt(token(algorithm, secret), keys, {}, NOW));
}

std::string text_of(const json_t* object, const char* name) {
    const json_t* const value = json_object_get(object, name);
    return json_is_string(value) ? std::string(json_string_value(value), json_string_length(value)) : "";
}

void check_key(const JwtKey& key, std::string_view file) {
    const bool is_secret = key.algorithm == "HS256";
    assert(is_secret || key.algorithm == "RS256" || key.algorithm == "ES256");
    assert(text_of(key.jwk.get(), "alg") == key.algorithm);
    for (const char* const name : {"d", "p", "q", "dp", "dq", "qi", "oth"})
        assert(!json_object_get(key.jwk.get(), name));
    if (!is_secret) {
        // A token cannot choose that a public key is taken for a secret.
        for (const std::string_view algorithm : {"HS256", "RS256", "ES256", "none"}) {
            assert(!verifies(algorithm, file, {key}));
            assert(!verifies(algorithm, text_of(key.jwk.get(), "n"), {key}));
            assert(!verifies(algorithm, text_of(key.jwk.get(), "x"), {key}));
        }
        return;
    }
    const auto secret = decode_base64url(text_of(key.jwk.get(), "k"));
    assert(secret && secret->size() >= 32);
    assert(verifies("HS256", *secret, {key}));
    assert(!verifies("RS256", *secret, {key}) && !verifies("none", *secret, {key}));
    assert(!verifies("HS256", *secret + "a", {key}));
}

bool repeats(const JwtKeys& read, const std::string& secret) {
    if (read.problem.find(secret) != read.problem.npos)
        return true;
    for (const std::string& each : read.ignored)
        if (each.find(secret) != each.npos)
            return true;
    return false;
}

void check_set(const json_t* set, const JwtKeys& read) {
    constexpr size_t LEAST = 24; // a shorter text stands in any sentence
    const json_t* const array = json_object_get(set, "keys");
    const size_t number = json_array_size(array);
    assert(number > 100 || read.keys.size() + read.ignored.size() == number);
    std::string ids; // which are repeated
    for (size_t i = 0; i < number; ++i)
        ids += text_of(json_array_get(array, i), "kid") + "\n";
    for (size_t i = 0; i < number; ++i)
        for (const char* const name : {"k", "d", "p", "q", "dp", "dq", "qi"}) {
            const std::string value = text_of(json_array_get(array, i), name);
            if (value.size() >= LEAST && value.find_first_of(" \n") == value.npos &&
                ids.find(value) == ids.npos)
                assert(!repeats(read, value));
        }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const JwtKeys read = parse_jwt_keys(text);
    assert(read.keys.empty() == !read.problem.empty());
    for (const std::string& each : read.ignored)
        assert(!each.empty());
    for (const JwtKey& key : read.keys)
        check_key(key, text);
    const Json set(json_loadb(text.data(), text.size(), JSON_REJECT_DUPLICATES, nullptr));
    if (json_is_array(json_object_get(set.get(), "keys")))
        check_set(set.get(), read);
    return 0;
}
