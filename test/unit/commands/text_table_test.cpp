#include "commands/text_table.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "commands/client_tables.h"

namespace odoo_bus {
namespace {

using Lines = std::vector<std::string>;

TextTable example() {
    TextTable table({{"NAME"}, {"SIZE", TextTable::Align::right}, {"NOTE"}});
    table.add({"a", "1", "short"});
    table.add({"long name", "1 000", ""});
    return table;
}

TEST(TextTable, AlignsColumns) {
    EXPECT_EQ(example().lines(9, 80),
              (Lines{"NAME        SIZE  NOTE", "a              1  short", "long name  1 000"}));
}

TEST(TextTable, LeavesOutWhatDoesNotFit) {
    EXPECT_EQ(example().lines(1, 80), (Lines{"NAME  SIZE  NOTE", "a        1  short"}));
    EXPECT_EQ(example().lines(9, 20), (Lines{"NAME        SIZE", "a              1", "long name  1 000"}));
    EXPECT_EQ(example().lines(9, 6), (Lines{"NAME", "a", "long n"}));
    EXPECT_EQ(example().lines(9, 0), (Lines{"", "", ""}));
}

TEST(TextTable, CutsBetweenCharacters) {
    EXPECT_EQ(cut("aé☃b", 3), "aé☃");
    EXPECT_EQ(cut("aé☃b", 2), "aé");
    EXPECT_EQ(cut("aé", 9), "aé");
    EXPECT_EQ(cut("é", 0), "");
}

// What another program answers must not get at the terminal.
TEST(TextTable, PrintsNoControlCharacter) {
    const Json answer(json_pack("{s:[{s:s,s:s,s:i}],s:[{s:s,s:b,s:i}]}", "channels", "name",
                                "\033[2Jevil\u009b31m\u202e", "database", "\a", "subscribers", 2, "clients",
                                "address", "\033]0;title\a", "behind", 1, "queued_bytes", 2048));
    for (const TextTable& table : {table_of_channels(answer.get()), table_of_clients(answer.get())})
        for (const std::string& line : table.lines(9, 200))
            EXPECT_TRUE(std::ranges::all_of(line, [](char c) { return c >= ' ' && c <= '~'; })) << line;
    EXPECT_EQ(table_of_channels(answer.get()).lines(9, 200)[1],
              R"(          2  \x1b[2Jevil\u009b31m\u202e  \x07)");
    EXPECT_EQ(subscribers_of(answer.get()), 2u);
}

TEST(TextTable, TakesAnyAnswer) {
    for (const char* const text :
         {"[]", "{}", "1", R"({"clients":1,"channels":{}})", R"({"clients":[1,{}],"channels":[[]]})",
          R"({"channels":[{"subscribers":-5},{"subscribers":"x"}],"threads":"x"})"}) {
        const Json answer = parse_lenient(text);
        table_of_clients(answer.get()).lines(9, 80);
        table_of_channels(answer.get()).lines(9, 80);
        EXPECT_EQ(subscribers_of(answer.get()), 0u) << text;
        EXPECT_EQ(incompleteness_of(answer.get()), "") << text;
    }
}

TEST(TextTable, SaysWhatIsMissing) {
    const Json answer = parse_lenient(R"({"threads":4,"answered":3,"complete":false})");
    EXPECT_EQ(incompleteness_of(answer.get()),
              "1 of 4 threads did not answer in time and are left out. There are "
              "too many channels to look at all of them.");
}

} // namespace
} // namespace odoo_bus
