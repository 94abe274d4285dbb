// doctor: the report, and what stands on its own command line.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "commands/doctor/doctor_options.h"
#include "commands/doctor/report.h"

namespace odoo_bus::doctor {

namespace {

using testing::HasSubstr;

TEST(DoctorReport, HoldsTheWorstAndNoForeignControlCharacters) {
    Report report;
    EXPECT_EQ(report.worst(), State::ok);
    report.ok("a.b", "fine");
    report.failed("c.d", "bad\x1b[2J\n\xff", "mend it");
    report.warning("e.f", "so so", "look");
    EXPECT_EQ(report.worst(), State::failed);
    const std::string text = report.text();
    EXPECT_THAT(text, HasSubstr("failed   c.d                      bad\\x1b[2J\\n\\xff: mend it\n"));
    EXPECT_THAT(text, HasSubstr("ok       a.b                      fine\n"));
    EXPECT_THAT(report.json(),
                HasSubstr(R"({"state":"failed","checks":[{"name":"a.b","state":"ok","found":"fine")"));
}

TEST(DoctorOptions, AreToldFromTheGateways) {
    bool json = false;
    const auto parsed =
        parse_doctor_options({"--database", "dbname=--send", "--url=http://x", "--address", "127.0.0.1",
                              "--gevent-port", "0", "--json", "--log-level=debug"},
                             json);
    const auto* options = std::get_if<DoctorOptions>(&parsed);
    ASSERT_TRUE(options);
    EXPECT_TRUE(json && options->json && !options->send && !options->wait);
    EXPECT_EQ(options->gateway.databases, std::vector<std::string>{"dbname=--send"});
    EXPECT_EQ(options->gateway.log_level, log::Level::debug);
    EXPECT_EQ(options->proxy->address, "127.0.0.1");
    EXPECT_EQ(options->proxy->host, "x");
    EXPECT_EQ(options->gevent_port, 0);
}

TEST(DoctorOptions, AValueThatLooksLikeAnOptionStaysAValue) {
    bool json = false;
    const auto parsed = parse_doctor_options({"--database", "dbname=x", "--token-audience", "--send"}, json);
    const auto* options = std::get_if<DoctorOptions>(&parsed);
    EXPECT_FALSE(options && options->send);
}

TEST(DoctorOptions, MistakesAreNamed) {
    const auto error_of = [](const std::vector<std::string>& arguments) {
        bool json = false;
        const auto parsed = parse_doctor_options(arguments, json);
        const auto* error = std::get_if<OptionsError>(&parsed);
        return error ? error->message : "no error";
    };
    EXPECT_THAT(error_of({"--database", "dbname=x", "--url"}), HasSubstr("--url: a value is missing"));
    EXPECT_THAT(error_of({"--database", "dbname=x", "--url", "x"}), HasSubstr("is not a URL"));
    EXPECT_THAT(error_of({"--database", "dbname=x", "--address", "127.0.0.1"}),
                HasSubstr("it needs a --url"));
    EXPECT_THAT(error_of({"--database", "dbname=x", "--gevent-port", "70000"}), HasSubstr("0 to 65535"));
    EXPECT_THAT(error_of({"--database", "dbname=x", "--nonsense"}), HasSubstr("--nonsense"));
    EXPECT_THAT(error_of({}), HasSubstr("--database"));
}

} // namespace

} // namespace odoo_bus::doctor
