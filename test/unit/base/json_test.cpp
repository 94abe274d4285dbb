// What jansson refuses and other parsers read, found without parsing twice.
#include "base/json.h"

#include <string>

#include <gtest/gtest.h>

namespace odoo_bus {

TEST(Json, IntegersOfMoreThan64BitsAreReals) {
    for (const std::string digits : {"9223372036854775807", "-9223372036854775808", "0", "-1"})
        EXPECT_TRUE(json_is_integer(json_array_get(parse_lenient("[" + digits + "]").get(), 0))) << digits;
    for (const std::string digits : {"9223372036854775808", "-9223372036854775809", "99999999999999999999"})
        for (const Json& array : {parse_lenient("[" + digits + "]"), parse_strict("[" + digits + "]")})
            EXPECT_TRUE(json_is_real(json_array_get(array.get(), 0))) << digits;
}

TEST(Json, DigitsElsewhereChangeNoInteger) {
    for (const std::string other : {R"("99999999999999999999")", R"("\"99999999999999999999")",
                                    "0.99999999999999999999", "1e-5", "99999999999999999999.5", "1E+3"}) {
        const Json array = parse_lenient("[" + other + ",7]");
        EXPECT_TRUE(json_is_integer(json_array_get(array.get(), 1))) << other;
    }
}

TEST(Json, HalfOfASurrogatePairIsAnotherCharacter) {
    for (const std::string text : {R"(["\ud800"])", R"(["\udc00"])", R"(["\ud800\ud800\udc00"])",
                                   R"(["\ud800x"])", R"(["\\\ud800"])", R"({"\uDBFF":1})"}) {
        EXPECT_TRUE(parse_lenient(text)) << text;
        EXPECT_FALSE(parse_strict(text)) << text;
    }
    const Json pair = parse_lenient(R"(["\ud83d\ude00"])");
    EXPECT_STREQ(json_string_value(json_array_get(pair.get(), 0)), "\xf0\x9f\x98\x80");
    EXPECT_TRUE(parse_lenient(R"(["\\ud800"])")) << "no escape";
}

TEST(Json, WhatIsRepairedIsSaid) {
    const auto is_repaired = [](std::string_view text) {
        bool repaired = false;
        EXPECT_TRUE(parse_lenient(text, nullptr, &repaired)) << text;
        return repaired;
    };
    for (const auto* text : {R"(["\\ud800"])", R"(["\ud83d\ude00"])", "[9223372036854775807]", "[1e30]"})
        EXPECT_FALSE(is_repaired(text)) << text;
    for (const auto* text : {R"(["\ud800"])", R"(["\udc00"])", "[9223372036854775808]"})
        EXPECT_TRUE(is_repaired(text)) << text;
}

TEST(Json, WhatIsCutOffIsRefused) {
    for (const std::string text : {"", "[", "\"", "[\"\\", "[\"\\ud8", "[1", "[-", "[1.", "[1e", "{\"a\":"})
        EXPECT_FALSE(parse_lenient(text)) << text;
}

} // namespace odoo_bus
