// Options: three sources, one description, clear errors, and what a reload may change.
#include "config/options.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/option_table.h"
#include "config/options_text.h"

namespace odoo_bus {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

using Arguments = std::vector<std::string>;
using Variables = std::map<std::string, std::string>;

const std::string DATABASE = "--database=dbname=mydb";

Environment environment_of(const Variables& variables) {
    return [variables](const char* name) -> const char* {
        const auto found = variables.find(name);
        return found == variables.end() ? nullptr : found->second.c_str();
    };
}

// A configuration file that lives as long as this.
class File {
public:
    explicit File(const std::string& content)
        : path_(std::filesystem::temp_directory_path() /
                ("odoo_bus_options_test_" + std::to_string(getpid()) + ".conf")) {
        write(content);
    }
    ~File() { std::filesystem::remove(path_); }
    void write(const std::string& content) const { std::ofstream(path_, std::ios::binary) << content; }
    std::string path() const { return path_; }

private:
    std::filesystem::path path_;
};

Options parse(const Arguments& arguments, const Variables& variables = {}) {
    const Parsed parsed = parse_options(arguments, environment_of(variables));
    if (const auto* options = std::get_if<Options>(&parsed))
        return *options;
    const auto* error = std::get_if<OptionsError>(&parsed);
    ADD_FAILURE() << (error ? error->message : "a text");
    return {};
}

std::string error_of(const Arguments& arguments, const Variables& variables = {}) {
    const Parsed parsed = parse_options(arguments, environment_of(variables));
    const auto* error = std::get_if<OptionsError>(&parsed);
    return error ? error->message : "no error";
}

// The file's whole text; the tests' folder tells where the project is.
std::string project_file(const std::string& name) {
    const auto root = std::filesystem::path(__FILE__).parent_path() / "../../..";
    std::ifstream file(root / name, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

TEST(Options, Defaults) {
    const Options options = parse({DATABASE});
    EXPECT_THAT(options.listen, ElementsAre(Listener{"127.0.0.1", 8073, ""}));
    EXPECT_THAT(options.databases, ElementsAre("dbname=mydb"));
    EXPECT_EQ(options.threads, 0u);
    EXPECT_EQ(options.history_bytes, 256u << 20);
    EXPECT_EQ(options.rate_limit_delay, Milliseconds(200));
    EXPECT_EQ(options.keep_alive, std::chrono::hours(1));
    EXPECT_FALSE(options.check_config);
    for (const OptionDefinition& definition : option_table()) {
        if (definition.name != "database") {
            EXPECT_EQ(definition.field.get(options), definition.default_values()) << definition.name;
        }
    }
}

TEST(Options, TheCommandLineSetsThem) {
    const Options options = parse({"run",
                                   DATABASE,
                                   "--database",
                                   "postgresql://u:p@host/other",
                                   "--listen=[::1]:80",
                                   "--listen",
                                   "unix:/run/bus.sock",
                                   "--hub-database",
                                   "none",
                                   "--threads",
                                   "3",
                                   "--history-bytes=2GiB",
                                   "--ping-interval",
                                   "0.5",
                                   "--log-level=debug",
                                   "--log-format",
                                   "json",
                                   "--check-config",
                                   "--state-dir=/var/lib/x",
                                   "--max-head-bytes",
                                   "16384",
                                   "--keep-alive",
                                   "1e2"});
    EXPECT_THAT(options.listen, ElementsAre(Listener{"::1", 80, ""}, Listener{"", 0, "/run/bus.sock"}));
    EXPECT_THAT(options.databases, ElementsAre("dbname=mydb", "postgresql://u:p@host/other"));
    EXPECT_EQ(options.hub_database, "none");
    EXPECT_EQ(options.threads, 3u);
    EXPECT_EQ(options.history_bytes, uint64_t{2} << 30);
    EXPECT_EQ(options.ping_interval, Milliseconds(500));
    EXPECT_EQ(options.log_level, log::Level::debug);
    EXPECT_EQ(options.log_format, log::Format::json);
    EXPECT_EQ(options.state_dir, "/var/lib/x");
    EXPECT_EQ(options.max_head_bytes, 16384u);
    EXPECT_EQ(options.keep_alive, Milliseconds(100'000));
    EXPECT_TRUE(options.check_config);
}

TEST(Options, CommandLineOverEnvironmentOverFile) {
    const File file(
        "# comment\n\n  threads = 2 \r\nmax-channels=5\nping-interval = 7\n"
        "database = host=/tmp dbname='a b' password=#=x\ndatabase = dbname=second\nallow-open = yes\n");
    const Variables variables = {{"ODOO_BUS_THREADS", "4"},
                                 {"ODOO_BUS_MAX_CHANNELS", "6"},
                                 {"ODOO_BUS_PING_INTERVAL", ""}, // counts as not set
                                 {"ODOO_BUS_CONFIG", file.path()}};
    const Options options = parse({"--threads=8"}, variables);
    EXPECT_EQ(options.threads, 8u);
    EXPECT_EQ(options.max_channels, 6u);
    EXPECT_EQ(options.ping_interval, Milliseconds(7000));
    EXPECT_THAT(options.databases, ElementsAre("host=/tmp dbname='a b' password=#=x", "dbname=second"));
    EXPECT_TRUE(options.allow_open);
    EXPECT_FALSE(parse({"--allow-open=false"}, variables).allow_open);
    // A repeatable option's values come from one source.
    EXPECT_THAT(parse({DATABASE}, variables).databases, ElementsAre("dbname=mydb"));
    EXPECT_THAT(parse({"--config", file.path()}, {{"ODOO_BUS_DATABASE", "dbname=x;dbname=y"}}).databases,
                ElementsAre("dbname=x", "dbname=y"));
    EXPECT_EQ(parse({"--config", file.path()}, {{"ODOO_BUS_CONFIG", "/nowhere"}}).threads, 2u);
}

TEST(Options, EachOptionIsReachableFromEachSourceAndKeepsItsText) {
    const std::map<std::string, std::string> samples = {{"listen", "127.0.0.1:1"},
                                                        {"database", "dbname=x"},
                                                        {"database-match", "^shop_"},
                                                        {"max-databases", "20"},
                                                        {"hub-database", "dbname=hub"},
                                                        {"auth", "open"},
                                                        {"allow-open", "true"},
                                                        {"odoo-url", "http://odoo:8069"},
                                                        {"odoo-websocket", "ws://odoo:8072"},
                                                        {"odoo-concurrency", "3"},
                                                        {"odoo-timeout", "4.5"},
                                                        {"grant-ttl", "9"},
                                                        {"max-unverified", "120"},
                                                        {"worker-version", "19.0-2"},
                                                        {"odoo-data-dir", "/odoo"},
                                                        {"relay", "on"},
                                                        {"standby", "refuse"},
                                                        {"recheck-interval", "12"},
                                                        {"recheck-rate", "2.5"},
                                                        {"trusted-proxy", "192.0.2.0/24"},
                                                        {"allowed-origin", "https://a.example"},
                                                        {"origin-match", "host"},
                                                        {"metrics-host", "bus1.example"},
                                                        {"metrics-token-file", "/token"},
                                                        {"token-issuer", "https://id.example"},
                                                        {"metrics-listen", "127.0.0.1:2"},
                                                        {"heartbeat", "1.25"},
                                                        {"poll-hold", "13"},
                                                        {"max-connections-per-address", "14"},
                                                        {"max-handshakes-per-address", "15"},
                                                        {"max-handshakes", "16"},
                                                        {"max-memory", "16MiB"},
                                                        {"max-row-bytes", "1MiB"},
                                                        {"max-receive-rate", "17KiB"},
                                                        {"drain-seconds", "19"},
                                                        {"take-over-timeout", "20.5"},
                                                        {"threads", "7"},
                                                        {"state-dir", "/x"},
                                                        {"history-seconds", "11.5"},
                                                        {"history-bytes", "3MiB"},
                                                        {"max-message-bytes", "999"},
                                                        {"rate-limit-burst", "8"},
                                                        {"rate-limit-delay", "0.05"},
                                                        {"ping-interval", "1.5"},
                                                        {"pong-timeout", "2"},
                                                        {"keep-alive", "3"},
                                                        {"max-connections", "4"},
                                                        {"max-channels", "5"},
                                                        {"max-head-bytes", "2KiB"},
                                                        {"head-timeout", "0.125"},
                                                        {"max-queue-bytes", "9KiB"},
                                                        {"max-queue-seconds", "6"},
                                                        {"log-level", "error"},
                                                        {"log-format", "json"},
                                                        {"token-keys", "/keys"},
                                                        {"token-audience", "bus"},
                                                        {"token-cookie", "jwt"},
                                                        {"token-skew", "12"},
                                                        {"auth-sql-function", "app.authorize"},
                                                        {"sql-pass", "cookie:sid"},
                                                        {"sql-connections", "2"},
                                                        {"sql-timeout", "1.25"},
                                                        {"sql-cache", "6"},
                                                        {"sql-grant", "60"},
                                                        {"presence", "room_*"},
                                                        {"presence-notifications", "true"},
                                                        {"presence-heartbeat", "2.5"},
                                                        {"presence-grace", "3"},
                                                        {"presence-rate", "50"},
                                                        {"presence-max-rows", "70"},
                                                        {"presence-max-members", "7"}};
    ASSERT_EQ(samples.size(), option_table().size());
    for (const OptionDefinition& definition : option_table()) {
        const std::string& value = samples.at(definition.name);
        Arguments base;
        if (definition.name != "database")
            base.push_back(DATABASE);
        if (definition.name == "presence")
            base.insert(base.end(), {"--auth=token", "--token-keys=/keys"});
        const auto expect = [&](const Options& options) {
            EXPECT_THAT(definition.field.get(options), ElementsAre(value)) << definition.name;
        };
        Arguments with_argument = base;
        with_argument.push_back("--" + definition.name + "=" + value);
        expect(parse(with_argument));
        expect(parse(base, {{environment_name(definition.name), value}}));
        const File file(definition.name + " = " + value + "\n");
        expect(parse(base, {{"ODOO_BUS_CONFIG", file.path()}}));
    }
}

TEST(Options, PresenceIsOfThoseWhoAreKnown) {
    EXPECT_THAT(error_of({"--presence=*", DATABASE}), HasSubstr("--auth token"));
    EXPECT_THAT(error_of({"--presence=*", "--auth=odoo", DATABASE}), HasSubstr("--auth token"));
    const std::vector<std::string> token = {"--auth=token", "--token-keys=/keys", DATABASE};
    for (const char* wrong : {"**", "a*b", "*a"}) {
        Arguments arguments = token;
        arguments.push_back(std::string("--presence=") + wrong);
        EXPECT_THAT(error_of(arguments), HasSubstr("--presence")) << wrong;
    }
}

TEST(Options, BadValuesAreNamedWithTheirPlace) {
    EXPECT_EQ(error_of({"--ping-interval", "abc", DATABASE}),
              "--ping-interval: \"abc\" is not a number of seconds; give 0.1 to 86400");
    EXPECT_THAT(error_of({DATABASE}, {{"ODOO_BUS_THREADS", "0"}}),
                testing::AllOf(StartsWith("--threads: \"0\" is not"),
                               HasSubstr("(environment variable ODOO_BUS_THREADS)")));
    const File file("\nthreads = many\n");
    EXPECT_THAT(error_of({DATABASE, "--config", file.path()}),
                testing::AllOf(StartsWith("--threads: \"many\" is not"), HasSubstr(file.path() + " line 2")));
    const std::pair<const char*, std::vector<const char*>> bad[] = {
        {"--listen",
         {"x", "8073", ":8073", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1", "localhost:80",
          "::1:80", "[::1]", "[::1:80", "[127.0.0.1]:80", "127.1:80", "unix:", "unix:relative"}},
        {"--threads", {"0", "257", "-1", "1.5", "Auto", ""}},
        {"--history-bytes", {"1GB", "1M", "x", "-1", "63KiB", "99999999TiB", "18446744073709551616", "MiB"}},
        {"--history-seconds", {"0", "nan", "inf", "-5", "1s", ""}},
        {"--max-connections", {"0", "1e3", "10000001"}},
        {"--log-level", {"INFO", "trace"}},
        {"--log-format", {"xml"}},
        {"--auth", {"nobody", "Odoo"}},
        {"--auth-sql-function", {"a b", "1a", "a.", ".a", "a.b.c", "A", "a;b"}},
        {"--sql-pass", {"cookie:", "x-forwarded-for", "Cookie:a"}},
        {"--state-dir", {"relative"}},
        {"--metrics-host", {"bus1:8074", "http://bus1", "[::1]", "a b", "*"}},
        {"--metrics-token-file", {"relative"}},
        {"--origin-match", {"", "none", "scheme"}},
        {"--token-issuer", {"a b", "\xc3\xa4"}},
        {"--database", {"mydb", "nonsense=1", "host", "postgresql://u:p@ss@host/db", "host=a@b"}},
        {"--hub-database", {"postgres"}}};
    for (const auto& [name, values] : bad)
        for (const char* value : values)
            EXPECT_THAT(error_of({DATABASE, name, value}), StartsWith(name + std::string(": "))) << value;
    EXPECT_THAT(error_of({DATABASE, "--listen", "unix:/" + std::string(107, 'x')}), StartsWith("--listen: "));
    EXPECT_EQ(error_of({DATABASE, "--listen", "unix:/" + std::string(106, 'x')}), "no error");
    EXPECT_THAT(error_of({DATABASE, "--listen=127.0.0.1:1", "--listen=127.0.0.1:1"}),
                HasSubstr("given twice"));
    EXPECT_EQ(error_of({DATABASE, "--listen=127.0.0.1:0", "--listen=127.0.0.1:0"}), "no error");
}

TEST(Options, APasswordOnTheCommandLineIsWarnedOf) {
    const auto warned = [](const std::vector<std::string>& warnings) {
        EXPECT_THAT(warnings, testing::Each(testing::Not(HasSubstr("hunter2"))));
        return warnings.size();
    };
    for (const char* database : {"dbname=a password=hunter2", "postgresql://u:hunter2@host/a",
                                 "postgresql:///a?password=hunter2", "dbname=a sslpassword=hunter2"}) {
        const Options options = parse({std::string("--database=") + database});
        ASSERT_EQ(warned(options.warnings), 1u) << database;
        for (const char* remedy :
             {"--database has a password", "ODOO_BUS_DATABASE", "passfile=", "service=", "PGPASSFILE"})
            EXPECT_THAT(options.warnings.front(), HasSubstr(remedy));
        EXPECT_EQ(warned(parse({}, {{"ODOO_BUS_DATABASE", database}}).warnings), 0u) << "nobody else sees it";
        EXPECT_EQ(warned(parse({DATABASE, "--database", database}).warnings), 1u);
        EXPECT_THAT(parse({DATABASE, std::string("--hub-database=") + database}).warnings,
                    ElementsAre(HasSubstr("--hub-database has a password")));
    }
    for (const char* database : {"dbname=a", "dbname=a passfile=/x", "service=x",
                                 "dbname=a password=", "postgresql://u@host/password"})
        EXPECT_EQ(warned(parse({std::string("--database=") + database}).warnings), 0u) << database;
}

TEST(Options, AFileWithAPasswordIsForItsOwnerAndGroup) {
    const File file("database = dbname=a password=hunter2\n");
    for (const auto& [mode, warnings] : {std::pair{0600, 0u}, {0640, 0u}, {0644, 1u}, {0604, 1u}}) {
        chmod(file.path().c_str(), static_cast<mode_t>(mode));
        const Options options = parse({"--config", file.path()});
        EXPECT_EQ(options.warnings.size(), warnings) << std::oct << mode;
        if (warnings) {
            EXPECT_THAT(options.warnings.front(), HasSubstr("other users can read it"));
        }
    }
    file.write("database = dbname=a\n");
    EXPECT_THAT(parse({"--config", file.path()}).warnings, IsEmpty());
}

TEST(Options, PasswordsAreNotShown) {
    for (const char* database :
         {"postgresql://u:hunter2@x@host/db", "postgresql://u:x@hunter2@host/db", "host=a@hunter2"})
        EXPECT_THAT(
            error_of({"--database", database}),
            testing::AllOf(StartsWith("--database: the host has an @"), testing::Not(HasSubstr("hunter2"))));
    EXPECT_THAT(error_of({"--database", "password=hunter2 x"}), testing::Not(HasSubstr("hunter2")));
    EXPECT_THAT(error_of({DATABASE, "--hub-database", "hunter2"}), testing::Not(HasSubstr("hunter2")));
}

TEST(Options, MistakesOnTheCommandLine) {
    EXPECT_THAT(error_of({"--nonsense"}), StartsWith("--nonsense: there is no such option"));
    EXPECT_THAT(error_of({"nonsense"}), StartsWith("nonsense: there is no such option"));
    EXPECT_THAT(error_of({"--thread=1"}), StartsWith("--thread=1: there is no such option"));
    EXPECT_THAT(error_of({"--listen"}), StartsWith("--listen: a value is missing"));
    EXPECT_THAT(error_of({"--threads=", DATABASE}), StartsWith("--threads: a value is missing"));
    EXPECT_THAT(error_of({DATABASE, "--threads=1", "--threads=2"}),
                StartsWith("--threads: given more than once"));
    EXPECT_THAT(error_of({}), StartsWith("--database: none is given"));
}

TEST(Options, MistakesInTheFile) {
    const File file("threads = 1\n# x\nlissten = 127.0.0.1:80\n");
    EXPECT_THAT(error_of({DATABASE, "--config", file.path()}),
                StartsWith(file.path() + " line 3: there is no option \"lissten\""));
    for (const char* content : {"threads\n", "= 1\n", "[section]\n"}) {
        file.write(content);
        EXPECT_THAT(error_of({DATABASE, "--config", file.path()}), HasSubstr("line 1 is not an option"))
            << content;
    }
    file.write("threads = 1\nthreads = 2\n");
    EXPECT_THAT(error_of({DATABASE, "--config", file.path()}),
                testing::AllOf(StartsWith("--threads: given again"), HasSubstr("line 2")));
    file.write("check-config = true\n");
    EXPECT_THAT(error_of({DATABASE, "--config", file.path()}), HasSubstr("no option \"check-config\""));
    file.write(std::string((1 << 20) + 1, '\n'));
    EXPECT_THAT(error_of({DATABASE, "--config", file.path()}), HasSubstr("larger than 1 MiB"));
    EXPECT_THAT(error_of({"--config", "/nonexistent"}), HasSubstr("cannot read /nonexistent: No such file"));
    EXPECT_THAT(error_of({"--config", "/tmp"}), HasSubstr("cannot read /tmp: Is a directory"));
}

TEST(Options, OpenListensOnlyLocallyUnlessAllowed) {
    for (const char* place : {"0.0.0.0:80", "192.168.0.1:80", "[::]:80", "[2001:db8::1]:80", "128.0.0.1:1"}) {
        const Arguments arguments = {DATABASE, "--listen=127.0.0.1:1", std::string("--listen=") + place};
        EXPECT_THAT(error_of(arguments), testing::AllOf(StartsWith("--listen: "), HasSubstr(place)));
        Arguments allowed = arguments;
        allowed.push_back("--allow-open");
        EXPECT_EQ(error_of(allowed), "no error");
    }
    for (const char* place : {"127.0.0.1:80", "127.255.0.1:80", "[::1]:80", "unix:/x"})
        EXPECT_EQ(error_of({DATABASE, std::string("--listen=") + place}), "no error");
}

TEST(Options, TextsAreAskedFor) {
    const auto text_of = [](const Arguments& arguments) {
        return std::get<OptionsText>(parse_options(arguments, environment_of({}))).text;
    };
    EXPECT_EQ(text_of({"--version"}), "odoo-bus-gateway " ODOO_BUS_VERSION "\n");
    EXPECT_EQ(text_of({"--print-config", "--threads=nonsense"}), sample_configuration());
    EXPECT_EQ(text_of({"run", "--help"}), text_of({"-h"}));
    const std::string help = text_of({"--help"}), all = text_of({"--help-all"});
    EXPECT_THAT(help, HasSubstr("odoo-bus-gateway tail URL CHANNEL..."));
    for (const OptionDefinition& definition : option_table()) {
        const std::string usage = "\n  --" + definition.name + (definition.value.empty() ? "\n" : " ");
        EXPECT_THAT(all, HasSubstr(usage));
        EXPECT_EQ(help.find(usage) == help.npos, definition.advanced) << definition.name;
    }
    std::istringstream lines(all);
    for (std::string line; std::getline(lines, line);)
        EXPECT_LE(line.size(), 79u) << line;
}

TEST(Options, APatternOfDatabasesIsForOneServer) {
    EXPECT_EQ(parse({DATABASE, "--database-match", "^shop_"}).database_match, "^shop_");
    EXPECT_THAT(error_of({DATABASE, "--database", "dbname=other", "--database-match=."}),
                HasSubstr("give --database once"));
    EXPECT_THAT(error_of({DATABASE, "--database-match", "^%d$"}), HasSubstr("request's host"));
    EXPECT_THAT(error_of({DATABASE, "--database-match", "(shop"}),
                HasSubstr("--database-match: \"(shop\" is not a regular expression"));
}

TEST(Options, SampleAndManualAreThePrintedOnes) {
    EXPECT_EQ(project_file("deploy/odoo-bus-gateway.conf"), sample_configuration())
        << "write it anew: build/odoo-bus-gateway --print-config > deploy/odoo-bus-gateway.conf";
    EXPECT_EQ(project_file("docs/gateway-options.md"), options_markdown())
        << "write it anew: build/odoo-bus-gateway --print-options-markdown > docs/gateway-options.md";
}

TEST(Options, TheSampleWithItsCommentsRemovedIsTheDefault) {
    std::istringstream sample(sample_configuration());
    std::string active;
    std::set<std::string> names;
    for (std::string line; std::getline(sample, line);)
        if (line.size() > 1 && line[0] == '#' && line[1] != ' ') {
            const std::string name = line.substr(1, line.find(' ') - 1);
            names.insert(name);
            if (name != "database")
                active += line.substr(1) + "\n";
        }
    EXPECT_EQ(names.size(), option_table().size());
    const File file(active);
    const Options options = parse({DATABASE, "--config", file.path()});
    for (const OptionDefinition& definition : option_table()) {
        if (definition.name != "database") {
            EXPECT_EQ(definition.field.get(options), definition.default_values()) << definition.name;
        }
    }
}

TEST(Options, ReloadChangesWhatMayChange) {
    const File file("threads = 2\nlog-level = info\nmax-channels = 10\n");
    const Arguments arguments = {DATABASE, "--config", file.path(), "--ping-interval=3"};
    const Environment environment = environment_of({});
    const Options running = parse(arguments);

    file.write(
        "threads = 4\nlog-level = debug\nmax-channels = 10\nping-interval = 9\nmax-message-bytes = 2MiB\n");
    const auto result = reload_options(running, arguments, environment);
    ASSERT_TRUE(std::holds_alternative<Reload>(result));
    const Reload& reload = std::get<Reload>(result);
    EXPECT_THAT(reload.changed,
                ElementsAre("--max-message-bytes: 2MiB (was 1MiB)", "--log-level: debug (was info)"));
    EXPECT_THAT(reload.needs_restart, ElementsAre("--threads"));
    EXPECT_EQ(reload.options.threads, 2u);
    EXPECT_EQ(reload.options.log_level, log::Level::debug);
    EXPECT_EQ(reload.options.max_message_bytes, 2u << 20);
    EXPECT_EQ(reload.options.ping_interval, Milliseconds(3000)); // the command line stays above the file
    EXPECT_EQ(reload.options.databases, running.databases);

    const auto again = reload_options(reload.options, arguments, environment);
    EXPECT_THAT(std::get<Reload>(again).changed, IsEmpty());

    file.write("log-level = nonsense\n");
    EXPECT_TRUE(std::holds_alternative<OptionsError>(reload_options(running, arguments, environment)));
}

TEST(Options, FormerOptionsAreAcceptedWithAWarning) {
    const File file("odoo-timeout = 4\nodoo-wait = nonsense\n");
    const Arguments arguments = {DATABASE, "--config", file.path(), "--message-timeout=1"};
    const Variables variables = {{"ODOO_BUS_MESSAGE_TIMEOUT", "2"}};
    const Options options = parse(arguments, variables);
    EXPECT_EQ(options.odoo_wait(), Milliseconds(8'000));
    EXPECT_EQ(options.message_timeout(), 3 * options.head_timeout);
    EXPECT_THAT(
        options.warnings,
        ElementsAre(
            "--odoo-wait is no longer an option, its value is twice --odoo-timeout; remove it (" +
                file.path() + " line 2)",
            "--message-timeout is no longer an option, its value is three times --head-timeout; remove it",
            "--message-timeout is no longer an option, its value is three times --head-timeout; remove "
            "it (environment variable ODOO_BUS_MESSAGE_TIMEOUT)"));
    file.write("");
    const auto reloaded = reload_options(options, {DATABASE, "--config", file.path()}, environment_of({}));
    EXPECT_THAT(std::get<Reload>(reloaded).options.warnings, IsEmpty());
    for (const RetiredOption& retired : retired_table())
        EXPECT_EQ(std::ranges::count(option_table(), retired.name, &OptionDefinition::name), 0);
}

TEST(Options, ReloadGivesUpNoPassword) {
    const File file("database = password=old\n");
    const Arguments arguments = {"--config", file.path()};
    const Options running = parse(arguments);
    file.write("database = password=new\nhub-database = password=new\n");
    const auto result = reload_options(running, arguments, environment_of({}));
    EXPECT_THAT(std::get<Reload>(result).changed, IsEmpty());
    EXPECT_THAT(std::get<Reload>(result).needs_restart, ElementsAre("--database", "--hub-database"));
    for (const OptionDefinition& definition : option_table())
        EXPECT_FALSE(definition.field.is_secret && definition.reloads) << definition.name;
}

} // namespace
} // namespace odoo_bus
