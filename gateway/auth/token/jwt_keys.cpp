// The keys by which tokens are verified, read with OpenSSL.
#include "auth/token/jwt_keys.h"

#include <openssl/bio.h>
#include <openssl/pem.h>

#include "auth/token/public_key.h"
#include "base/json.h"

namespace odoo_bus {

namespace {

constexpr size_t MAX_KEYS = 100;
constexpr size_t LEAST_SECRET_BYTES = 32; // RFC 7518, section 3.2
constexpr int LEAST_RSA_BITS = 2048;      // RFC 7518, section 3.3

// The bytes of a member in base64url; empty when it is missing or is none.
std::string bytes_of(const json_t* jwk, const char* name) {
    const json_t* member = json_object_get(jwk, name);
    if (!json_is_string(member))
        return {};
    return decode_base64url({json_string_value(member), json_string_length(member)}).value_or("");
}

PublicKey rsa_key(const json_t* jwk) {
    return rsa_public_key(bytes_of(jwk, "n"), bytes_of(jwk, "e"));
}

PublicKey ec_key(const json_t* jwk) {
    const json_t* curve = json_object_get(jwk, "crv");
    if (!json_is_string(curve) || std::string_view(json_string_value(curve)) != "P-256")
        return nullptr;
    return p256_public_key(bytes_of(jwk, "x"), bytes_of(jwk, "y"));
}

// Adds the key under its only algorithm; false when there is none for it.
bool add(JwtKeys& keys, PublicKey key, std::string id) {
    if (!key)
        return false;
    if (rsa_bits(key.get()) >= LEAST_RSA_BITS)
        keys.push_back({JwtAlgorithm::rs256, std::move(id), {}, std::move(key)});
    else if (is_p256(key.get()))
        keys.push_back({JwtAlgorithm::es256, std::move(id), {}, std::move(key)});
    else
        return false;
    return true;
}

std::string member(const json_t* jwk, const char* name) {
    const json_t* value = json_object_get(jwk, name);
    return json_is_string(value) ? std::string(json_string_value(value), json_string_length(value)) : "";
}

std::variant<JwtKeys, std::string> from_set(std::string_view text) {
    json_error_t where;
    const Json set(json_loadb(text.data(), text.size(), JSON_REJECT_DUPLICATES, &where));
    const json_t* array = json_object_get(set.get(), "keys");
    if (!json_is_array(array))
        return "it is not a JSON Web Key Set: an object with an array \"keys\"";
    if (json_array_size(array) > MAX_KEYS)
        return "it holds more than 100 keys";
    JwtKeys keys;
    for (size_t i = 0; i < json_array_size(array); ++i) {
        const json_t* jwk = json_array_get(array, i);
        const std::string type = member(jwk, "kty"), use = member(jwk, "use"), algorithm = member(jwk, "alg");
        if (!use.empty() && use != "sig")
            continue;
        // Keys for other algorithms are another reader's.
        if (type == "oct" && (algorithm.empty() || algorithm == "HS256")) {
            const std::string secret = bytes_of(jwk, "k");
            if (secret.size() < LEAST_SECRET_BYTES)
                return "a secret in it is shorter than 32 bytes";
            keys.push_back({JwtAlgorithm::hs256, member(jwk, "kid"), secret, nullptr});
        } else if (type == "RSA" && (algorithm.empty() || algorithm == "RS256")) {
            if (!add(keys, rsa_key(jwk), member(jwk, "kid")))
                return "an RSA key in it is malformed or shorter than 2048 bits";
        } else if (type == "EC" && (algorithm.empty() || algorithm == "ES256")) {
            if (!add(keys, ec_key(jwk), member(jwk, "kid")))
                return "an EC key in it is malformed or not on the curve P-256";
        }
    }
    if (keys.empty())
        return "it holds no key for HS256, RS256 or ES256";
    return keys;
}

std::variant<JwtKeys, std::string> from_pem(std::string_view text) {
    if (text.find("PRIVATE KEY") != text.npos)
        return "it holds a private key, which only who makes the tokens may have: give the public key";
    const std::unique_ptr<BIO, void (*)(BIO*)> file(
        BIO_new_mem_buf(text.data(), static_cast<int>(text.size())), BIO_free_all);
    JwtKeys keys;
    while (EVP_PKEY* key = PEM_read_bio_PUBKEY(file.get(), nullptr, nullptr, nullptr))
        if (keys.size() >= MAX_KEYS || !add(keys, {key, EVP_PKEY_free}, ""))
            return "a key in it is neither RSA with 2048 bits or more nor EC on the curve P-256";
    if (keys.empty())
        return "it holds no public key (-----BEGIN PUBLIC KEY-----)";
    return keys;
}

} // namespace

std::optional<std::string> decode_base64url(std::string_view text) {
    static constexpr std::string_view ALPHABET =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    std::string bytes;
    bytes.reserve(text.size() * 3 / 4);
    uint32_t bits = 0;
    int count = 0;
    for (const char c : text) {
        const size_t value = c == '\0' ? ALPHABET.npos : ALPHABET.find(c);
        if (value == ALPHABET.npos)
            return std::nullopt;
        bits = bits << 6 | static_cast<uint32_t>(value);
        count += 6;
        if (count >= 8) {
            count -= 8;
            bytes.push_back(static_cast<char>(bits >> count & 0xff));
        }
    }
    // Six bits alone are no byte, and what is left over must be zero.
    if (count == 6 || (bits & ((1u << count) - 1)) != 0)
        return std::nullopt;
    return bytes;
}

std::variant<JwtKeys, std::string> parse_jwt_keys(std::string_view text) {
    const size_t begin = text.find_first_not_of(" \t\r\n");
    if (begin == text.npos)
        return "it is empty";
    if (text[begin] == '{')
        return from_set(text);
    if (text.find("-----BEGIN") != text.npos)
        return from_pem(text);
    // A secret, as an editor saves it.
    while (text.ends_with('\n') || text.ends_with('\r'))
        text.remove_suffix(1);
    if (text.size() < LEAST_SECRET_BYTES)
        return "the secret in it is shorter than 32 bytes; make one with: openssl rand -hex 32";
    return JwtKeys{{JwtAlgorithm::hs256, "", std::string(text), nullptr}};
}

} // namespace odoo_bus
