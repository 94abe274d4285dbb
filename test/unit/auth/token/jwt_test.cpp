// Tokens and keys; test/e2e/token_test.py has those of every kind against the running program.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "auth/token/jwt.h"

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

// Signed with 32 times 'k', by another implementation: {"alg":"HS256"} and these claims.
TEST(Jwt, ATimeBeyondTheYear9999IsNone) {
    const auto known = keys(std::string(32, 'k'));
    const auto expiring = [&](const char* token) {
        return problem(token, known, {.audience = "", .skew = 3600}, BEFORE);
    };
    EXPECT_EQ(
        expiring(
            "eyJhbGciOiJIUzI1NiJ9.eyJleHAiOjI1MzQwMjMwMDc5OX0.BwRAYNiTXU23zoB0lq_7m6OdNy9-KoiVa4fbotn0RH0"),
        ""); // 253402300799
    for (const char* token : {"eyJhbGciOiJIUzI1NiJ9.eyJleHAiOjI1MzQwMjMwMDgwMH0.heQmsP0ODt62ORHtTd8DKPztjSw_"
                              "y2Oi67Nyf4M7Sdg",
                              "eyJhbGciOiJIUzI1NiJ9.eyJleHAiOjEwMDAwMDAwMDAwMDAwMDB9.UwDCmhAy54KeHbvDSQITU1-"
                              "HFRWZLb3FX7CSq-eN8qE",
                              "eyJhbGciOiJIUzI1NiJ9.eyJleHAiOjEwMDAwMDAwMDAwMDAwMDAwMDB9.Llvf2VBAma8_"
                              "Xkd9OjYNgkF7M0Xb-G4juInO9_"
                              "O4JcE",
                              "eyJhbGciOiJIUzI1NiJ9.eyJleHAiOi05MjIzMzcyMDM2ODU0Nzc1ODA4fQ.XQ-"
                              "TaQXohU2kUpbOVVw6q4oS-"
                              "DqvpRBDxW95tpZNq1E",
                              "eyJhbGciOiJIUzI1NiJ9.eyJleHAiOjFlMzAwfQ.r2KD-_X8D4ax-lZunBAkR23_"
                              "fy8AK0742nhEJmttHgI"}) // 253402300800,
                                                      // 10^15,
                                                      // 10^18,
                                                      // -2^63,
                                                      // 1e300
        EXPECT_THAT(expiring(token), HasSubstr("no time at which it expires"));
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
