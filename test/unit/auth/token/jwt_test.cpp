// Tokens and keys; test/e2e/token_test.py has those of every kind against the running program.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "auth/token/jwt.h"
#include "base/clock.h"

extern "C" {
#include <jose/b64.h>
}

namespace odoo_bus {
namespace {

using testing::HasSubstr;

// The example of RFC 7515, appendix A.1.
constexpr const char* SECRET =
    R"({"keys":[{"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}]})";
constexpr const char* TOKEN =
    "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9."
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ."
    "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
// And of appendix A.3, by ES256.
constexpr const char* EC_KEY =
    R"({"keys":[{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",)"
    R"("y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]})";
constexpr const char* EC_TOKEN =
    "eyJhbGciOiJFUzI1NiJ9."
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ."
    "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
constexpr int64_t BEFORE = 1'300'819'379; // a second before they expire

std::vector<JwtKey> keys(std::string_view text) {
    return parse_jwt_keys(text).keys;
}

std::string problem(std::string_view token, const std::vector<JwtKey>& known, JwtRules rules, int64_t now) {
    const auto verified = verify_jwt(token, known, rules, now);
    const auto* why = std::get_if<JwtProblem>(&verified);
    return why ? why->reason : "";
}

TEST(Jwt, TheExamplesOfTheStandard) {
    EXPECT_EQ(problem(TOKEN, keys(SECRET), {.audience = "", .skew = 0}, BEFORE), "");
    EXPECT_EQ(problem(EC_TOKEN, keys(EC_KEY), {.audience = "", .skew = 0}, BEFORE), "");
    EXPECT_THAT(problem(TOKEN, keys(EC_KEY), {.audience = "", .skew = 0}, BEFORE), HasSubstr("no known key"));
    EXPECT_THAT(problem(EC_TOKEN, keys(SECRET), {.audience = "", .skew = 0}, BEFORE),
                HasSubstr("no known key"));
}

TEST(Jwt, ExpiresToTheSecond) {
    EXPECT_EQ(problem(TOKEN, keys(SECRET), {.audience = "", .skew = 0}, BEFORE), "");
    EXPECT_THAT(problem(TOKEN, keys(SECRET), {.audience = "", .skew = 0}, BEFORE + 1), HasSubstr("expired"));
    EXPECT_EQ(problem(TOKEN, keys(SECRET), {.audience = "", .skew = 30}, BEFORE + 30), "");
    EXPECT_THAT(problem(TOKEN, keys(SECRET), {.audience = "", .skew = 30}, BEFORE + 31),
                HasSubstr("expired"));
    EXPECT_THAT(problem(TOKEN, keys(SECRET), {.audience = "x", .skew = 0}, BEFORE), HasSubstr("audience"));
}

std::string base64url(std::string_view bytes) {
    std::string text((bytes.size() * 4 + 2) / 3, '\0');
    jose_b64_enc_buf(bytes.data(), bytes.size(), text.data(), text.size());
    return text;
}

const std::string HMAC_KEY(32, 'k');

// A token with these claims, as they stand here, by HS256.
std::string token_of(const std::string& claims) {
    const std::string text = base64url(R"({"alg":"HS256"})") + "." + base64url(claims);
    unsigned char signature[32];
    HMAC(EVP_sha256(), HMAC_KEY.data(), static_cast<int>(HMAC_KEY.size()),
         reinterpret_cast<const unsigned char*>(text.data()), text.size(), signature, nullptr);
    return text + "." + base64url({reinterpret_cast<const char*>(signature), sizeof signature});
}

std::string problem_of(const std::string& claims, const JwtRules& rules = {.audience = "", .skew = 3600}) {
    return problem(token_of(claims), keys(HMAC_KEY), rules, BEFORE);
}

// What no time is, as JSON; nothing of it may overflow, and none of it may mean "never".
const char* const NO_TIMES[] = {
    "253402300800",         // a second after the year 9999
    "1300819440000",        // milliseconds
    "1e12",                 //
    "1000000000000000",     // the last microsecond that 64 bits hold is 9.2e18
    "9223372036854",        //
    "9223372036854775",     //
    "9223372036854775807",  // the greatest
    "-9223372036854775808", // the least
    "-253402300800",        //
    "1e300",                //
    "-1e300",               //
    "1.7976931348623157e308",
    R"("1300819440")",
    R"("1e9")",
    R"("NaN")",
    R"("Infinity")",
    R"("")",
    "null",
    "true",
    "[1300819440]",
    R"({"a":1300819440})",
};
// And what is no JSON.
const char* const NO_JSON[] = {"NaN",  "Infinity", "-Infinity",           "1e999", "-1e999", "0x4d88e154",
                               "+1e9", "01",       "9223372036854775808", "1e",    "1_000"};

TEST(Jwt, WhatIsNoTimeIsRefusedInEachClaim) {
    const std::string good = R"("exp":1300819440)";
    EXPECT_EQ(problem_of("{" + good + R"(,"nbf":1300819000,"iat":1300819000})"), "");
    for (const char* wrong : NO_TIMES) {
        EXPECT_THAT(problem_of(R"({"exp":)" + std::string(wrong) + "}"),
                    HasSubstr("no time at which it expires"))
            << wrong;
        EXPECT_THAT(problem_of("{" + good + R"(,"nbf":)" + wrong + "}"), HasSubstr("not valid yet")) << wrong;
        EXPECT_THAT(problem_of("{" + good + R"(,"iat":)" + wrong + "}"),
                    HasSubstr("no time at which it was issued"))
            << wrong;
    }
    for (const char* wrong : NO_JSON)
        for (const char* claim : {"exp", "nbf", "iat"})
            EXPECT_THAT(problem_of(std::string("{\"") + claim + "\":" + wrong + "}"),
                        HasSubstr("not a JSON object"))
                << claim << " " << wrong;
}

TEST(Jwt, TimesWithinTheBoundsAreRead) {
    for (const char* valid : {"253402300799", "1300819440", "1300819440.75", "1.30081944e9", "13008194.4e2",
                              "1300815780"}) // by the skew
        EXPECT_EQ(problem_of(std::string(R"({"exp":)") + valid + "}"), "") << valid;
    for (const char* past :
         {"0", "-0.0", "-1", "1e-300", "0.5", "-253402300799", "1300815779", "1300815779.9"})
        EXPECT_THAT(problem_of(std::string(R"({"exp":)") + past + "}"), HasSubstr("expired")) << past;
    EXPECT_THAT(problem_of(R"({"exp":1300819440,"nbf":253402300799})"), HasSubstr("not valid yet"));
    EXPECT_EQ(problem_of(R"({"exp":1300819440,"nbf":-253402300799,"iat":253402300799})"), "");
    // The last one, with the greatest skew, in the clock's microseconds.
    const auto last =
        verify_jwt(token_of(R"({"exp":253402300799})"), keys(HMAC_KEY), {.audience = ""}, BEFORE);
    EXPECT_GT(WallTime(std::chrono::seconds(std::get<JwtClaims>(last).expires + 3600)), wall_time(0));
}

TEST(Jwt, AnIssuerIsRequiredByName) {
    const auto by = [](const std::string& issuer, std::vector<std::string> issuers) {
        const std::string claim = issuer.empty() ? "" : R"(,"iss":)" + issuer;
        return problem_of(R"({"exp":1300819440)" + claim + "}",
                          {.audience = "", .issuers = std::move(issuers), .skew = 0});
    };
    EXPECT_EQ(by("", {}), "");
    EXPECT_EQ(by(R"("anyone")", {}), "");
    EXPECT_EQ(by(R"("https://id.example")", {"https://id.example"}), "");
    EXPECT_EQ(by(R"("b")", {"a", "b"}), "");
    for (const char* wrong :
         {"", R"("c")", R"("A")", R"("a ")", R"("aa")", R"("")", R"(["a"])", "1", "null", R"({"a":"a"})"})
        EXPECT_THAT(by(wrong, {"a", "b"}), HasSubstr("another issuer")) << wrong;
}

TEST(Jwt, EveryChangedCharacterIsNoticed) {
    const std::string token = TOKEN;
    for (size_t i = 0; i < token.size(); ++i) {
        std::string changed = token;
        changed[i] = changed[i] == 'A' ? 'B' : 'A';
        EXPECT_NE(problem(changed, keys(SECRET), {.audience = "", .skew = 0}, BEFORE), "") << i;
    }
    for (size_t length = 0; length < token.size(); ++length)
        EXPECT_NE(problem(token.substr(0, length), keys(SECRET), {.audience = "", .skew = 0}, BEFORE), "");
}

// As identity providers publish them: keys of other kinds beside the one that signs.
TEST(JwtKeys, ThoseOfASetThatCannotBeUsedAreIgnoredAndNamed) {
    const std::string good = std::string(EC_KEY).substr(9, std::string(EC_KEY).size() - 11);
    const auto beside = [&good](const std::string& other) {
        const JwtKeys read = parse_jwt_keys(R"({"keys":[)" + other + "," + good + "]}");
        EXPECT_EQ(read.problem, "") << other;
        EXPECT_EQ(read.keys.size(), 1u) << other;
        EXPECT_EQ(read.ignored.size(), 1u) << other;
        const JwtKeys alone = parse_jwt_keys(R"({"keys":[)" + other + "]}");
        EXPECT_THAT(alone.problem, HasSubstr("it holds no key")) << other;
        EXPECT_TRUE(alone.keys.empty()) << other;
        return read.ignored.empty() ? "" : read.ignored.front();
    };
    const std::string point = R"("x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",)"
                              R"("y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0")";
    EXPECT_THAT(beside(R"({"kty":"EC","crv":"P-384","kid":"x","x":"AA","y":"AA"})"),
                HasSubstr("key 1 (kid \"x\"): it is neither"));
    EXPECT_THAT(beside(R"({"kty":"EC","crv":"P-256",)" + point + R"(,"alg":"ES384"})"),
                HasSubstr("algorithm"));
    EXPECT_THAT(beside(R"({"kty":"EC","crv":"P-256",)" + point + R"(,"use":"enc"})"),
                HasSubstr("signatures"));
    EXPECT_THAT(beside(R"({"kty":"EC","crv":"P-256",)" + point + R"(,"key_ops":["encrypt"]})"),
                HasSubstr("signatures"));
    EXPECT_THAT(beside(R"({"kty":"EC","crv":"P-256","x":"AA","y":"AA"})"), HasSubstr("point of the curve"));
    EXPECT_THAT(beside(R"({"kty":"RSA","n":"yhRjrAJrFhIYw2VTFB0","e":"AQAB"})"), HasSubstr("2048 bits"));
    EXPECT_THAT(beside(R"({"kty":"RSA","e":"AQAB"})"), HasSubstr("malformed"));
    EXPECT_THAT(beside(R"({"kty":"oct","k":"c2hvcnQ"})"), HasSubstr("32 bytes"));
    for (const char* other : {R"({"kty":"OKP","crv":"Ed25519","x":"x"})",
                              R"({"kty":"AKP","alg":"ML-DSA-44"})", R"("x")", "null", "[]", "{}"})
        EXPECT_THAT(beside(other), HasSubstr("neither a secret nor")) << other;
}

TEST(JwtKeys, KnowWhetherTheyAreSecret) {
    EXPECT_TRUE(parse_jwt_keys(HMAC_KEY).has_secrets);
    EXPECT_TRUE(parse_jwt_keys(SECRET).has_secrets);
    EXPECT_FALSE(parse_jwt_keys(EC_KEY).has_secrets);
    const std::string mixed = std::string(EC_KEY).substr(0, std::string(EC_KEY).size() - 2);
    EXPECT_TRUE(parse_jwt_keys(mixed + R"(,{"kty":"oct","k":"c2hvcnQ"}]})").has_secrets)
        << "one that is ignored";
    EXPECT_TRUE(parse_jwt_keys(mixed + R"(,{"kty":"EC","crv":"P-256","d":"AA"}]})").has_secrets);
}

TEST(Jwt, Patterns) {
    const JwtClaims claims{.subject = "", .database = "", .expires = 0, .channels = {"a", "team_*", "x*y"}};
    for (const char* granted : {"a", "team_", "team_7", "x*y"})
        EXPECT_TRUE(claims.grants(granted)) << granted;
    for (const char* other : {"", "b", "aa", "team", "ateam_7", "xy", "*"})
        EXPECT_FALSE(claims.grants(other)) << other;
}

TEST(Jwt, Base64UrlIsDecodedStrictly) {
    EXPECT_EQ(decode_base64url(""), "");
    EXPECT_EQ(decode_base64url("_-8"), "\xff\xef");
    for (const char* wrong : {"A", "AB", "AAB", "A=", "AA==", "+/8", "A A", "AAAAA"})
        EXPECT_EQ(decode_base64url(wrong), std::nullopt) << wrong;
}

} // namespace
} // namespace odoo_bus
