// A JSON Web Token: verified first, read afterwards.
#include "auth/token/jwt.h"

#include <algorithm>
#include <cmath>

#include <openssl/crypto.h>
#include <openssl/ecdsa.h>
#include <openssl/hmac.h>

#include "base/json.h"

namespace odoo_bus {

namespace {

constexpr size_t MAX_TOKEN_BYTES = 8 * 1024;
constexpr size_t MAX_DEPTH = 8;
constexpr size_t MAX_CHANNELS = 1'000;
constexpr size_t MAX_TEXT_BYTES = 1'024;

const unsigned char* bytes(std::string_view text) {
    return reinterpret_cast<const unsigned char*>(text.data());
}

// A JSON object without doubles: of two equal claims another reader might take the other one.
Json parse_object(std::string_view text) {
    if (json_extent(text).depth > MAX_DEPTH)
        return nullptr;
    json_error_t where;
    Json object(json_loadb(text.data(), text.size(), JSON_REJECT_DUPLICATES, &where));
    if (!json_is_object(object.get()))
        return nullptr;
    return object;
}

std::string_view text_of(const json_t* value) {
    return json_is_string(value) ? std::string_view(json_string_value(value), json_string_length(value))
                                 : std::string_view();
}

bool verify_hmac(const JwtKey& key, std::string_view signed_part, std::string_view signature) {
    unsigned char expected[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    return HMAC(EVP_sha256(), key.secret.data(), static_cast<int>(key.secret.size()), bytes(signed_part),
                signed_part.size(), expected, &length) &&
           signature.size() == length && CRYPTO_memcmp(expected, signature.data(), length) == 0;
}

// The two numbers of an ECDSA signature as OpenSSL takes them; empty when they are none.
std::string to_der(std::string_view signature) {
    if (signature.size() != 64)
        return {};
    const std::unique_ptr<ECDSA_SIG, decltype(&ECDSA_SIG_free)> pair(ECDSA_SIG_new(), ECDSA_SIG_free);
    BIGNUM* const r = BN_bin2bn(bytes(signature), 32, nullptr);
    BIGNUM* const s = BN_bin2bn(bytes(signature) + 32, 32, nullptr);
    if (!pair || !r || !s || ECDSA_SIG_set0(pair.get(), r, s) != 1) {
        BN_free(r);
        BN_free(s);
        return {};
    }
    std::string der(static_cast<size_t>(std::max(i2d_ECDSA_SIG(pair.get(), nullptr), 0)), '\0');
    auto* end = reinterpret_cast<unsigned char*>(der.data());
    i2d_ECDSA_SIG(pair.get(), &end);
    return der;
}

bool verify_public(const JwtKey& key, std::string_view signed_part, std::string_view signature) {
    const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
    return context &&
           EVP_DigestVerifyInit(context.get(), nullptr, EVP_sha256(), nullptr, key.key.get()) == 1 &&
           EVP_DigestVerify(context.get(), bytes(signature), signature.size(), bytes(signed_part),
                            signed_part.size()) == 1;
}

bool verify(const JwtKey& key, std::string_view signed_part, const std::string& signature) {
    switch (key.algorithm) {
    case JwtAlgorithm::hs256:
        return verify_hmac(key, signed_part, signature);
    case JwtAlgorithm::rs256:
        return verify_public(key, signed_part, signature);
    case JwtAlgorithm::es256:
        return verify_public(key, signed_part, to_der(signature));
    }
    return false;
}

std::optional<JwtAlgorithm> algorithm_of(std::string_view name) {
    if (name == "HS256")
        return JwtAlgorithm::hs256;
    if (name == "RS256")
        return JwtAlgorithm::rs256;
    if (name == "ES256")
        return JwtAlgorithm::es256;
    return std::nullopt;
}

// Seconds since 1970; nothing when it is missing or no such number.
std::optional<int64_t> time_of(const json_t* claim) {
    if (json_is_integer(claim) && std::abs(json_integer_value(claim)) < int64_t{1} << 50)
        return json_integer_value(claim);
    if (json_is_real(claim) && std::fabs(json_real_value(claim)) < 1e15)
        return static_cast<int64_t>(json_real_value(claim));
    return std::nullopt;
}

bool names_audience(const json_t* claim, const std::string& audience) {
    if (!json_is_array(claim))
        return json_is_string(claim) && text_of(claim) == audience;
    for (size_t i = 0; i < json_array_size(claim); ++i)
        if (json_is_string(json_array_get(claim, i)) && text_of(json_array_get(claim, i)) == audience)
            return true;
    return false;
}

JwtProblem problem(const char* reason) {
    return {reason};
}

std::variant<JwtClaims, JwtProblem> read_claims(const json_t* claims, const JwtRules& rules, int64_t now) {
    const auto expires = time_of(json_object_get(claims, "exp"));
    if (!expires)
        return problem("the token has no time at which it expires");
    if (now - rules.skew >= *expires)
        return problem("the token has expired");
    const json_t* begins = json_object_get(claims, "nbf");
    const auto not_before = time_of(begins);
    if (begins && (!not_before || now + rules.skew < *not_before))
        return problem("the token is not valid yet");
    const json_t* audience = json_object_get(claims, "aud");
    if (rules.audience.empty() ? audience != nullptr : !names_audience(audience, rules.audience))
        return problem("the token is for another audience");

    JwtClaims read;
    read.expires = *expires;
    for (const auto& [name, member] : {std::pair{"sub", &read.subject}, std::pair{"db", &read.database}}) {
        const json_t* claim = json_object_get(claims, name);
        if (claim && (!json_is_string(claim) || text_of(claim).size() > MAX_TEXT_BYTES))
            return problem("a claim of the token is not a short text");
        *member = text_of(claim);
    }
    const json_t* channels = json_object_get(claims, "channels");
    if (channels && (!json_is_array(channels) || json_array_size(channels) > MAX_CHANNELS))
        return problem("the channels of the token are not a list of at most 1000 names");
    for (size_t i = 0; i < json_array_size(channels); ++i) {
        const json_t* name = json_array_get(channels, i);
        if (!json_is_string(name) || text_of(name).size() > MAX_TEXT_BYTES)
            return problem("a channel of the token is not a short text");
        read.channels.emplace_back(text_of(name));
    }
    return read;
}

} // namespace

bool JwtClaims::grants(std::string_view channel) const {
    return std::ranges::any_of(channels, [channel](std::string_view pattern) {
        if (!pattern.ends_with('*'))
            return pattern == channel;
        pattern.remove_suffix(1);
        return channel.starts_with(pattern);
    });
}

std::variant<JwtClaims, JwtProblem> verify_jwt(std::string_view token, const JwtKeys& keys,
                                               const JwtRules& rules, int64_t now) {
    if (token.size() > MAX_TOKEN_BYTES)
        return problem("the token is too large");
    const size_t first = token.find('.');
    const size_t second = first == token.npos ? first : token.find('.', first + 1);
    if (second == token.npos || token.find('.', second + 1) != token.npos)
        return problem("the token does not have three parts");
    const auto head = decode_base64url(token.substr(0, first));
    const auto body = decode_base64url(token.substr(first + 1, second - first - 1));
    const auto signature = decode_base64url(token.substr(second + 1));
    if (!head || !body || !signature)
        return problem("a part of the token is not base64url");

    const Json header = parse_object(*head);
    if (!header)
        return problem("the header of the token is not a JSON object without doubles");
    const auto algorithm = algorithm_of(text_of(json_object_get(header.get(), "alg")));
    if (!algorithm)
        return problem("the token's algorithm is not HS256, RS256 or ES256");
    if (json_object_get(header.get(), "crit"))
        return problem("the token asks for an extension that is not known");
    const std::string_view id = text_of(json_object_get(header.get(), "kid"));
    const std::string_view signed_part = token.substr(0, second);
    const bool is_signed = std::ranges::any_of(keys, [&](const JwtKey& key) {
        return key.algorithm == *algorithm && (id.empty() || key.id.empty() || key.id == id) &&
               verify(key, signed_part, *signature);
    });
    if (!is_signed)
        return problem("the token is signed by no known key");
    const Json claims = parse_object(*body);
    if (!claims)
        return problem("the claims of the token are not a JSON object without doubles");
    return read_claims(claims.get(), rules, now);
}

} // namespace odoo_bus
