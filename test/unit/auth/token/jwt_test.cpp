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

JwtKeys keys(const char* text) {
    auto parsed = parse_jwt_keys(text);
    return std::holds_alternative<JwtKeys>(parsed) ? std::get<JwtKeys>(parsed) : JwtKeys();
}

std::string problem(std::string_view token, const JwtKeys& known, JwtRules rules, int64_t now) {
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
