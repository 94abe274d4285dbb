// A command line, split into options and words.
#include "config/arguments.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace odoo_bus {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

using Value = Syntax::Value;

const std::vector<Syntax> SYNTAX = {
    {"file", Value::required, 'f'}, {"allow", Value::optional}, {"help", Value::none, 'h'}};

// "file=x" for each option.
std::vector<std::string> options_of(const std::vector<std::string>& arguments) {
    std::string problem;
    const auto split = split_arguments(arguments, SYNTAX, "program --help", problem);
    EXPECT_TRUE(split) << problem;
    std::vector<std::string> texts;
    for (const auto& [name, value] : split.value_or(Arguments{}).options)
        texts.push_back(name + "=" + value);
    return texts;
}

std::string problem_of(const std::vector<std::string>& arguments) {
    std::string problem;
    EXPECT_FALSE(split_arguments(arguments, SYNTAX, "program --help", problem));
    return problem;
}

TEST(Options, ArgumentsAreSplit) {
    EXPECT_THAT(options_of({"--file=a=b", "--file", "--help", "-f", "x", "-f=y", "--file", ""}),
                ElementsAre("file=a=b", "file=--help", "file=x", "file=y", "file="));
    EXPECT_THAT(options_of({"--allow", "word", "--allow=no", "-h"}),
                ElementsAre("allow=true", "allow=no", "help="));
    EXPECT_THAT(options_of({}), IsEmpty());

    std::string problem;
    const auto split = split_arguments({"one", "-", "--help", "--", "--file", "--"}, SYNTAX, "", problem);
    ASSERT_TRUE(split);
    EXPECT_THAT(split->words, ElementsAre("one", "-", "--file", "--"));
    EXPECT_TRUE(split->has("help"));
    EXPECT_FALSE(split->has("file"));
}

TEST(Options, ArgumentsThatAreWrong) {
    EXPECT_EQ(problem_of({"--fil", "x"}), "--fil: there is no such option; see program --help");
    EXPECT_EQ(problem_of({"-x"}), "-x: there is no such option; see program --help");
    EXPECT_EQ(problem_of({"--fi\nle=1"}), "--fi\\nle=1: there is no such option; see program --help");
    EXPECT_EQ(problem_of({"--file"}), "--file: a value is missing; see program --help");
    EXPECT_EQ(problem_of({"--file="}), "--file: a value is missing; see program --help");
    EXPECT_EQ(problem_of({"--help=yes"}), "--help: it takes no value; see program --help");
}

TEST(Options, NumbersOnTheCommandLine) {
    uint16_t port = 0;
    EXPECT_EQ(read_number<uint16_t>("8072", 1, 65535, port), "");
    EXPECT_EQ(port, 8072);
    for (const char* wrong : {"", "0", "65536", "-1", "1.5", " 1", "1x"})
        EXPECT_EQ(read_number<uint16_t>(wrong, 1, 65535, port),
                  std::string("\"") + wrong + "\" is not a number from 1 to 65535");
}

} // namespace
} // namespace odoo_bus
