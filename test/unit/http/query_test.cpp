// The query of a request target.
#include "http/query.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace odoo_bus {
namespace {

using testing::ElementsAre;
using testing::Pair;

TEST(Query, PercentDecoding) {
    EXPECT_EQ(percent_decode("a%41%c3%A9+b%2B"), "aA\xc3\xa9 b+");
    EXPECT_EQ(percent_decode("%00"), std::string(1, '\0'));
    EXPECT_EQ(percent_decode(""), "");
    for (const char* bad : {"%", "%4", "a%", "%g0", "%0g", "%%41"})
        EXPECT_EQ(percent_decode(bad), std::nullopt) << bad;
}

TEST(Query, Pairs) {
    const auto query = parse_query("version=19.0-2&&a=1&a=2&flag&e=x=y&%61b=%26&=v");
    ASSERT_TRUE(query);
    EXPECT_THAT(*query, ElementsAre(Pair("version", "19.0-2"), Pair("a", "1"), Pair("a", "2"),
                                    Pair("flag", ""), Pair("e", "x=y"), Pair("ab", "&"), Pair("", "v")));
    EXPECT_EQ(query_value(*query, "a"), "1");
    EXPECT_EQ(query_value(*query, "flag"), "");
    EXPECT_EQ(query_value(*query, "missing"), std::nullopt);
    EXPECT_TRUE(parse_query("")->empty());
}

TEST(Query, IsBoundedAndRefusesWhatIsMalformed) {
    EXPECT_EQ(parse_query("a=1&b=2", 2)->size(), 2u);
    EXPECT_EQ(parse_query("a=1&b=2&c=3", 2), std::nullopt);
    EXPECT_EQ(parse_query("a=%4"), std::nullopt);
    EXPECT_EQ(parse_query("%zz=1"), std::nullopt);
}

} // namespace
} // namespace odoo_bus
