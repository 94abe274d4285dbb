// The keys by which tokens are verified, by José. What José leaves to its caller is done here: the least
// sizes, one algorithm for each key, canonical base64url.
#include "auth/token/jwt_keys.h"

#include <utility>

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <spdlog/fmt/fmt.h>
#include <spdlog/fmt/ranges.h>

#include "base/json.h"

extern "C" {
#include <jose/b64.h>
#include <jose/cfg.h>
#include <jose/jwk.h>
#include <jose/jws.h>
#include <jose/openssl.h>
}

namespace odoo_bus {

namespace {

constexpr size_t MAX_KEYS = 100;
constexpr size_t MAX_DEPTH = 8, MAX_VALUES = 5'000; // of a set
constexpr size_t LEAST_SECRET_BYTES = 32;           // RFC 7518, section 3.2
constexpr size_t HMAC_BLOCK_BYTES = 64;
constexpr int LEAST_RSA_BITS = 2048; // RFC 7518, section 3.3
constexpr size_t MAX_ID_SHOWN = 64;

using PublicKey = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;

// José writes errors to stderr by default.
jose_cfg_t* quiet() {
    static const thread_local std::unique_ptr<jose_cfg_t, decltype(&jose_cfg_decref)> config = [] {
        jose_cfg_t* const made = jose_cfg();
        jose_cfg_set_err_func(
            made, [](void*, const char*, int, uint64_t, const char*, va_list) {}, nullptr);
        return std::unique_ptr<jose_cfg_t, decltype(&jose_cfg_decref)>(made, jose_cfg_decref);
    }();
    return config.get();
}

std::string member(const json_t* jwk, const char* name) {
    const json_t* value = json_object_get(jwk, name);
    return json_is_string(value) ? std::string(json_string_value(value), json_string_length(value)) : "";
}

Json secret_jwk(const std::string& secret) {
    // José takes 1024 bytes at most. HMAC itself replaces a secret that is longer than a block by its hash.
    std::string key = secret;
    if (secret.size() > HMAC_BLOCK_BYTES) {
        key.resize(32);
        EVP_Digest(secret.data(), secret.size(), reinterpret_cast<unsigned char*>(key.data()), nullptr,
                   EVP_sha256(), nullptr);
    }
    return Json(
        json_pack("{s:s,s:s,s:o}", "kty", "oct", "alg", "HS256", "k", jose_b64_enc(key.data(), key.size())));
}

// Its members by which RS256 or ES256 is verified.
Json public_jwk(const json_t* jwk, const char* algorithm) {
    Json only(json_pack("{s:s}", "alg", algorithm));
    for (const char* name : {"kty", "n", "e", "crv", "x", "y"})
        if (json_t* const value = json_object_get(jwk, name))
            json_object_set(only.get(), name, value);
    return only;
}

// Fills `key`, or says why it cannot be used.
std::string take(JwtKey& key, const json_t* jwk) {
    const std::string type = member(jwk, "kty"), algorithm = member(jwk, "alg");
    const bool is_p256 = type == "EC" && member(jwk, "crv") == "P-256";
    key.algorithm = type == "oct" ? "HS256" : type == "RSA" ? "RS256" : is_p256 ? "ES256" : "";
    key.id = member(jwk, "kid");
    if (key.algorithm.empty())
        return "it is neither a secret nor RSA nor EC on the curve P-256";
    if (!algorithm.empty() && algorithm != key.algorithm)
        return "it is for another algorithm than HS256, RS256 or ES256";
    if (!jose_jwk_prm(quiet(), jwk, false, "verify"))
        return "it is not for signatures";
    if (type == "oct") {
        const std::string secret = decode_base64url(member(jwk, "k")).value_or("");
        if (secret.size() < LEAST_SECRET_BYTES)
            return "the secret is malformed or shorter than 32 bytes";
        key.jwk = secret_jwk(secret);
        return {};
    }
    Json only = public_jwk(jwk, key.algorithm.c_str());
    const PublicKey made(jose_openssl_jwk_to_EVP_PKEY(quiet(), only.get()), EVP_PKEY_free);
    if (!made || (type == "RSA" && EVP_PKEY_bits(made.get()) < LEAST_RSA_BITS))
        return type == "RSA" ? "it is malformed or shorter than 2048 bits"
                             : "it is not a point of the curve P-256";
    key.jwk = std::move(only);
    return {};
}

// A secret, or the private part of a key.
bool has_secret(const json_t* jwk) {
    return json_object_get(jwk, "k") || json_object_get(jwk, "d");
}

JwtKeys take_all(const json_t* array) {
    JwtKeys taken;
    if (json_array_size(array) > MAX_KEYS) {
        taken.problem = "it holds more than 100 keys";
        return taken;
    }
    for (size_t i = 0; i < json_array_size(array); ++i) {
        JwtKey key;
        taken.has_secrets = taken.has_secrets || has_secret(json_array_get(array, i));
        const std::string why = take(key, json_array_get(array, i));
        if (why.empty())
            taken.keys.push_back(std::move(key));
        else
            taken.ignored.push_back(fmt::format(
                "key {}{}: {}", i + 1,
                key.id.empty() ? "" : fmt::format(" (kid \"{}\")", key.id.substr(0, MAX_ID_SHOWN)), why));
    }
    if (taken.keys.empty())
        taken.problem = fmt::format("it holds no key for HS256, RS256 or ES256{}{}",
                                    taken.ignored.empty() ? "" : ": ", fmt::join(taken.ignored, "; "));
    return taken;
}

JwtKeys from_set(std::string_view text) {
    if (const JsonExtent extent = json_extent(text); extent.depth > MAX_DEPTH || extent.values > MAX_VALUES)
        return {.problem = "it is nested too deeply or holds too many values"};
    json_error_t where;
    const Json set(json_loadb(text.data(), text.size(), JSON_REJECT_DUPLICATES, &where));
    const json_t* array = json_object_get(set.get(), "keys");
    if (!json_is_array(array))
        return {.problem = "it is not a JSON Web Key Set: an object with an array \"keys\""};
    return take_all(array);
}

JwtKeys from_pem(std::string_view text) {
    if (text.find("PRIVATE KEY") != text.npos)
        return {
            .problem =
                "it holds a private key, which only the issuer of the tokens may have: give the public key"};
    const std::unique_ptr<BIO, void (*)(BIO*)> file(
        BIO_new_mem_buf(text.data(), static_cast<int>(text.size())), BIO_free_all);
    const Json array(json_array());
    while (const PublicKey key{PEM_read_bio_PUBKEY(file.get(), nullptr, nullptr, nullptr), EVP_PKEY_free}) {
        json_t* const jwk = jose_openssl_jwk_from_EVP_PKEY(quiet(), key.get());
        json_array_append_new(array.get(), jwk ? jwk : json_null()); // of a kind that José does not know
    }
    if (json_array_size(array.get()) == 0)
        return {.problem = "it holds no public key (-----BEGIN PUBLIC KEY-----)"};
    return take_all(array.get());
}

} // namespace

bool JwtKey::verifies(const json_t* jws) const {
    return jose_jws_ver(quiet(), jws, nullptr, jwk.get(), false);
}

std::optional<std::string> decode_base64url(std::string_view text) {
    std::string bytes(text.size() * 3 / 4, '\0');
    if (text.size() % 4 == 1 ||
        jose_b64_dec_buf(text.data(), text.size(), bytes.data(), bytes.size()) != bytes.size())
        return std::nullopt;
    // Other texts with the same bytes are refused: bits that are left over must be zero.
    std::string encoded(text.size(), '\0');
    jose_b64_enc_buf(bytes.data(), bytes.size(), encoded.data(), encoded.size());
    return encoded == text ? std::optional(bytes) : std::nullopt;
}

JwtKeys parse_jwt_keys(std::string_view text) {
    const size_t begin = text.find_first_not_of(" \t\r\n");
    if (begin == text.npos)
        return {.problem = "it is empty"};
    if (text[begin] == '{')
        return from_set(text);
    if (text.find("-----BEGIN") != text.npos)
        return from_pem(text);
    // A secret, as an editor saves it.
    while (text.ends_with('\n') || text.ends_with('\r'))
        text.remove_suffix(1);
    if (text.size() < LEAST_SECRET_BYTES)
        return {.problem = "the secret in it is shorter than 32 bytes; make one with: openssl rand -hex 32"};
    return {.keys = {{"HS256", "", secret_jwk(std::string(text))}}, .has_secrets = true};
}

} // namespace odoo_bus
