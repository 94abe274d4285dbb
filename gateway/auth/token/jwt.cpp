// A JSON Web Token: verified first, read afterwards.
#include "auth/token/jwt.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "base/json.h"

namespace odoo_bus {

namespace {

constexpr size_t MAX_TOKEN_BYTES = 8 * 1024;
constexpr size_t MAX_DEPTH = 8;
// The header is parsed before the signature is verified, and once more for each key.
constexpr size_t MAX_HEADER_BYTES = 1'024, MAX_HEADER_VALUES = 64;
constexpr size_t MAX_CHANNELS = 1'000;
constexpr size_t MAX_TEXT_BYTES = 1'024;
constexpr double MAX_TIME = 253'402'300'799; // the last second of the year 9999

// A JSON object without duplicate names: of two equal claims another reader might take the other one.
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

// Seconds since 1970; nothing when it is missing or no such number. One that is beyond year 9999 is none:
// milliseconds, most likely, with which a token would never expire.
std::optional<int64_t> time_of(const json_t* claim) {
    const double time = json_number_value(claim);
    if (!json_is_number(claim) || std::fabs(time) > MAX_TIME)
        return std::nullopt;
    return json_is_integer(claim) ? json_integer_value(claim) : static_cast<int64_t>(time);
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
    const json_t* issued = json_object_get(claims, "iat");
    if (issued && !time_of(issued))
        return problem("the token has no time at which it was issued");
    const json_t* issuer = json_object_get(claims, "iss");
    if (!rules.issuers.empty() &&
        (!json_is_string(issuer) || std::ranges::find(rules.issuers, text_of(issuer)) == rules.issuers.end()))
        return problem("the token is from another issuer");
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

std::variant<JwtClaims, JwtProblem> verify_jwt(std::string_view token, const std::vector<JwtKey>& keys,
                                               const JwtRules& rules, int64_t now) {
    if (token.size() > MAX_TOKEN_BYTES)
        return problem("the token is too large");
    const size_t first = token.find('.');
    const size_t second = first == token.npos ? first : token.find('.', first + 1);
    if (second == token.npos || token.find('.', second + 1) != token.npos)
        return problem("the token does not have three parts");
    const std::string_view head_part = token.substr(0, first), signature_part = token.substr(second + 1);
    const std::string_view body_part = token.substr(first + 1, second - first - 1);
    const auto head = decode_base64url(head_part), body = decode_base64url(body_part);
    if (!head || !body || !decode_base64url(signature_part))
        return problem("a part of the token is not base64url");

    if (head->size() > MAX_HEADER_BYTES || json_extent(*head).values > MAX_HEADER_VALUES)
        return problem("the header of the token is too large");
    const Json header = parse_object(*head);
    if (!header)
        return problem("the header of the token is not a JSON object without duplicate names");
    const std::string_view algorithm = text_of(json_object_get(header.get(), "alg"));
    if (algorithm != "HS256" && algorithm != "RS256" && algorithm != "ES256")
        return problem("the token's algorithm is not HS256, RS256 or ES256");
    if (json_object_get(header.get(), "crit"))
        return problem("the token asks for an extension that is not known");
    const std::string_view id = text_of(json_object_get(header.get(), "kid"));
    const Json jws(json_pack("{s:s%,s:s%,s:s%}", "protected", head_part.data(), head_part.size(), "payload",
                             body_part.data(), body_part.size(), "signature", signature_part.data(),
                             signature_part.size()));
    const bool is_signed = std::ranges::any_of(keys, [&](const JwtKey& key) {
        return key.algorithm == algorithm && (id.empty() || key.id.empty() || key.id == id) &&
               key.verifies(jws.get());
    });
    if (!is_signed)
        return problem("the token is signed by no known key");
    const Json claims = parse_object(*body);
    if (!claims)
        return problem("the claims of the token are not a JSON object without duplicate names");
    return read_claims(claims.get(), rules, now);
}

} // namespace odoo_bus
