// --database-match: what it matches, and what it refuses.
#include "config/database_pattern.h"

#include <chrono>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "deadline.h"

namespace odoo_bus {
namespace {

using testing::HasSubstr;

bool matches(const std::string& pattern, const std::string& name) {
    std::string wrong;
    const auto parsed = DatabasePattern::parse(pattern, wrong);
    EXPECT_TRUE(parsed) << pattern << " " << wrong;
    return parsed && parsed->matches(name);
}

std::string wrong_with(const std::string& pattern) {
    std::string wrong;
    EXPECT_FALSE(DatabasePattern::parse(pattern, wrong)) << pattern;
    return wrong;
}

// As Python's re.match, which Odoo uses.
TEST(DatabasePattern, ComparesFromTheBeginning) {
    EXPECT_TRUE(matches("shop", "shop"));
    EXPECT_TRUE(matches("shop", "shop_test"));
    EXPECT_FALSE(matches("shop", "my_shop"));
    EXPECT_FALSE(matches("shop$", "shop_test"));
    EXPECT_TRUE(matches("^shop$", "shop"));
    EXPECT_TRUE(matches(".*_prod$", "a_prod"));
    EXPECT_FALSE(matches(".*_prod$", "a_prod_old"));
    EXPECT_TRUE(matches("a|b", "bee"));
    EXPECT_FALSE(matches("shop", "SHOP"));
}

TEST(DatabasePattern, KnowsWhatPatternsOfOdooAreMadeOf) {
    EXPECT_TRUE(matches("^(?:one|two)$", "two"));
    EXPECT_FALSE(matches("^(?!template)", "template_x"));
    EXPECT_TRUE(matches("^(?!template)", "x"));
    EXPECT_TRUE(matches("^c\\d{3}_\\w+$", "c042_shop"));
    EXPECT_TRUE(matches("[^_]+$", "plain"));
    EXPECT_TRUE(matches("a.*?c", "abc"));
    EXPECT_TRUE(matches("^caf\xc3\xa9", "caf\xc3\xa9_1"));
    EXPECT_TRUE(matches(".*", "with \"quotes\", spaces\nand lines"));
    EXPECT_TRUE(matches("a.b", "a-b"));
}

TEST(DatabasePattern, SaysWhatIsWrong) {
    EXPECT_THAT(wrong_with("^%d$"), HasSubstr("request's host"));
    EXPECT_THAT(wrong_with("%h"), HasSubstr("request's host"));
    EXPECT_THAT(wrong_with("(a"), HasSubstr("is not a regular expression"));
    EXPECT_THAT(wrong_with("[z-a]"), HasSubstr("is not a regular expression"));
    EXPECT_THAT(wrong_with("*"), HasSubstr("is not a regular expression"));
    EXPECT_THAT(wrong_with(std::string(1001, 'a')), HasSubstr("1000"));
}

TEST(DatabasePattern, NoNameTakesLong) {
    const auto begin = std::chrono::steady_clock::now();
    EXPECT_FALSE(matches("(a+)+$", std::string(62, 'a') + "b"));
    EXPECT_FALSE(matches("(a|aa|a.)*(.a|a)*c$", std::string(63, 'a')));
    EXPECT_LT(std::chrono::steady_clock::now() - begin, scaled(std::chrono::seconds(10)));
}

} // namespace
} // namespace odoo_bus
