// PostgreSQL: the server, a pooler in between, and each database that is to be served.
#include "commands/doctor/groups.h"

#include <algorithm>
#include <cmath>
#include <set>

#include <spdlog/fmt/fmt.h>

#include "base/clock.h"
#include "commands/doctor/pg_session.h"
#include "commands/doctor/releases.h"
#include "config/database_pattern.h"
#include "database/table_facts.h"
#include "postgres/conninfo.h"
#include "postgres/pooler_check.h"

namespace odoo_bus::doctor {

namespace {

constexpr int64_t LEAST_VERSION = 130'005;
constexpr double CLOCKS_APART = 2; // seconds
constexpr double QUEUE_FILLS = 0.005;
constexpr int64_t MANY_BYTES = int64_t{10} << 30;
constexpr int64_t OLD_SECONDS = 4 * 86'400; // Odoo keeps rows for a day

std::string duration(int64_t seconds) {
    if (seconds < 120)
        return fmt::format("{} s", seconds);
    return seconds < 7'200     ? fmt::format("{} min", seconds / 60)
           : seconds < 172'800 ? fmt::format("{} h", seconds / 3'600)
                               : fmt::format("{} days", seconds / 86'400);
}

// For a literal in SQL.
std::string escaped(const std::string& text) {
    std::string escaped;
    for (const char c : text)
        escaped.append(c == '\'' ? 2 : 1, c);
    return escaped;
}

// False when the query failed, which is reported then.
bool answered(const PgResult& answer, const char* name, Report& report) {
    if (answer.ok() && answer.rows() > 0)
        return true;
    report.failed(name, fmt::format("the server does not answer: {}", answer.error()),
                  "grant the gateway's role what is refused here");
    return false;
}

// Likewise, of what the gateway itself does not need.
bool is_shown(const PgResult& answer, const char* name, Report& report) {
    if (!answer.ok())
        report.warning(
            name, fmt::format("the server does not show it: {}", answer.error()),
            "nothing, where the server is managed and shows it to nobody; else make the gateway's role a "
            "member of pg_monitor");
    return answer.ok();
}

// As the gateway does it (pooler_check.h): a session has several server processes, or that of another
// session, exactly when a pooler shares them. With statement pooling no transaction can begin.
bool examine_pooler(const PgSession& session, const std::string& conninfo, Report& report) {
    const char* const name = "postgresql.pooler";
    if (session.process() == session.pid()) {
        report.ok(name, "there is none");
        return true;
    }
    const PgSession other(conninfo);
    std::set<int64_t> here, there;
    for (int n = 0; n < 6; ++n) {
        here.insert({session.process(), session.process()});
        there.insert(other.process());
    }
    if (here.size() == 1 && !here.contains(*there.begin())) {
        report.ok(name, "there is one, and it keeps sessions");
        return true;
    }
    report.failed(name, PROCESSES_ARE_GIVEN_AWAY, CONNECT_PAST_THE_POOLER);
    return false;
}

void examine_server(const PgSession& session, Report& report) {
    const int64_t before = now_us();
    const PgResult answer = session.ask("SELECT current_setting('server_version_num')::int8, "
                                        "current_setting('server_version'), "
                                        "(extract(epoch FROM clock_timestamp()) * 1000000)::int8");
    const int64_t after = now_us();
    if (!answered(answer, "postgresql.version", report))
        return;
    const std::string version(answer.text(0, 1));
    if (answer.number(0, 0) < LEAST_VERSION)
        report.failed("postgresql.version", "PostgreSQL is " + version, "upgrade it to 13.5 or later");
    else if (const std::string missing = missing_fixes(answer.number(0, 0)); !missing.empty())
        report.warning("postgresql.version", "PostgreSQL " + version + " lacks " + missing,
                       "install the last minor release of this version");
    else
        report.ok("postgresql.version", "PostgreSQL " + version);

    // The server read its clock between `before` and `after`.
    const int64_t theirs = answer.number(0, 2);
    const double apart = static_cast<double>(theirs < before  ? before - theirs
                                             : theirs > after ? theirs - after
                                                              : 0) /
                         1e6;
    if (apart > CLOCKS_APART)
        report.warning("machine.clock",
                       fmt::format("this machine's clock and PostgreSQL's are {:.1f} s apart", apart),
                       "synchronize both (timedatectl set-ntp true): tokens, ages and latencies depend on "
                       "them");
    else
        report.ok("machine.clock", "as PostgreSQL's");

    const PgResult queue = session.ask("SELECT pg_notification_queue_usage()");
    if (!is_shown(queue, "postgresql.notify-queue", report))
        return;
    const double usage = strtod(std::string(queue.text(0, 0)).c_str(), nullptr);
    const std::string found = fmt::format("{:.2f} % of the NOTIFY queue is used", usage * 100);
    if (usage >= QUEUE_FILLS)
        report.add(
            {"postgresql.notify-queue", usage > 0.5 ? State::failed : State::warning, found,
             "a listener does not read its notifications: end its transaction (SELECT pid, query, xact_start "
             "FROM "
             "pg_stat_activity ORDER BY xact_start, then pg_terminate_backend(pid)); when the queue is "
             "full every commit with a NOTIFY fails"});
    else
        report.ok("postgresql.notify-queue", found);
}

void examine_transactions(const PgSession& session, std::chrono::seconds longest, Report& report) {
    const char* const name = "postgresql.transactions";
    const PgResult answer = session.ask(
        "SELECT pid::int8, (extract(epoch FROM clock_timestamp() - xact_start))::int8, usename, datname "
        "FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() "
        "AND xact_start IS NOT NULL ORDER BY xact_start LIMIT 1");
    if (!is_shown(answer, name, report))
        return;
    if (answer.rows() == 0)
        return report.ok(name, "none is visible to this role");
    const std::string found =
        fmt::format("the oldest, of {} in {} (process {}), began {} ago", answer.text(0, 2),
                    answer.text(0, 3), answer.number(0, 0), duration(answer.number(0, 1)));
    if (answer.number(0, 1) < longest.count())
        return report.ok(name, found);
    report.warning(name, found,
                   fmt::format("end it (SELECT pg_terminate_backend({})), or let it commit more often: its "
                               "notifications arrive when it ends, and old rows are kept for it",
                               answer.number(0, 0)));
}

// Backends whose clients do not read their notifications. PostgreSQL does not show which backend holds the
// tail of the queue; but one that is idle and waits to write to its client is writing notifications.
void examine_listeners(const PgSession& session, Report& report) {
    const char* const name = "postgresql.listeners";
    // The transaction that delivers them is short, unless the client does not read.
    constexpr const char* STUCK =
        "SELECT coalesce(string_agg(format('%s (%s in %s%s)', pid, usename, datname, "
        "', ' || nullif(application_name, '')), ', ' ORDER BY pid), ''), "
        "coalesce(string_agg(format('pg_terminate_backend(%s)', pid), ', ' ORDER BY pid), '') "
        "FROM pg_stat_activity WHERE backend_type = 'client backend' AND state = 'idle' "
        "AND wait_event = 'ClientWrite' AND pid <> pg_backend_pid()";
    PgResult answer = session.ask(STUCK);
    // A backend that still writes after a second is stuck.
    for (int look = 0; look < 2 && answer.ok() && !answer.text(0, 0).empty(); ++look) {
        const PgResult slept = session.ask("SELECT pg_sleep(0.5)");
        answer = session.ask(STUCK);
    }
    if (!is_shown(answer, name, report))
        return;
    if (answer.text(0, 0).empty())
        return report.ok(name, "all listening clients read");
    report.warning(
        name,
        fmt::format("these processes cannot write notifications to their clients: {}", answer.text(0, 0)),
        fmt::format(
            "let the clients read, or end the processes (SELECT {}): until then the NOTIFY queue keeps "
            "what was not read",
            answer.text(0, 1)));
}

void examine_versions(const PgSession& session, const TableFacts& facts, Report& report) {
    if (facts.extension_version.empty())
        return report.ok("postgresql.extension",
                         "odoo_bus is not installed: only Odoo itself sends notifications");
    // Before this session loads the library: only a preloaded one has its settings already.
    const PgResult preloaded = session.ask("SELECT count(*) FROM pg_settings WHERE name = 'odoo_bus.notify'");
    report.ok("postgresql.preload",
              preloaded.ok() && preloaded.number(0, 0) > 0
                  ? "odoo_bus is preloaded"
                  : "odoo_bus is not preloaded: it notifies within each transaction (docs/doorbell.md)");
    const PgResult library =
        session.ask("SELECT format('SELECT %I.bus_version()', n.nspname) FROM pg_extension e "
                    "JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'odoo_bus'");
    if (!answered(library, "postgresql.extension", report))
        return;
    const PgResult version = session.ask(std::string(library.text(0, 0)).c_str());
    if (!version.ok())
        return report.failed("postgresql.library", version.error(),
                             "install the library of odoo_bus on PostgreSQL's machine (make install)");
    if (version.text(0, 0) != facts.extension_version)
        return report.failed(
            "postgresql.library",
            fmt::format("in {} the extension is {}, and the library {}", facts.database,
                        facts.extension_version, version.text(0, 0)),
            "run ALTER EXTENSION odoo_bus UPDATE there; restart PostgreSQL when the library is preloaded");
    if (facts.extension_version != ODOO_BUS_VERSION)
        return report.warning("postgresql.extension",
                              fmt::format("in {} odoo_bus is {}, and the gateway " ODOO_BUS_VERSION,
                                          facts.database, facts.extension_version),
                              "bring both to the same version");
    report.ok("postgresql.extension",
              fmt::format("in {} odoo_bus and its library are {}", facts.database, facts.extension_version));
}

void examine_ids(const PgSession& session, const TableFacts& facts, Report& report) {
    const std::string sql = fmt::format(
        "SELECT s.last_value::int8, least(q.seqmax, CASE a.atttypid WHEN 'int4'::regtype THEN 2147483647 "
        "WHEN 'int2'::regtype THEN 32767 ELSE 9007199254740991 END)::int8 "
        "FROM {} s, pg_sequence q, pg_attribute a WHERE q.seqrelid = pg_get_serial_sequence('{}', "
        "'id')::regclass AND a.attrelid = {} "
        "AND a.attname = 'id'",
        facts.sequence, escaped(facts.table), facts.relation_oid);
    const PgResult answer = session.ask(sql.c_str());
    if (!answered(answer, "postgresql.ids", report))
        return;
    const double used = static_cast<double>(answer.number(0, 0)) / static_cast<double>(answer.number(0, 1));
    const std::string found = fmt::format("in {} {} of {} are used ({:.0f} %)", facts.database,
                                          answer.number(0, 0), answer.number(0, 1), std::floor(used * 100));
    if (used < 0.8)
        return report.ok("postgresql.ids", found);
    report.add({"postgresql.ids", used < 0.95 ? State::warning : State::failed, found,
                "restart the sequence while no client is connected: stop Odoo and the gateway, TRUNCATE " +
                    facts.table + " RESTART IDENTITY"});
}

void examine_rows(const PgSession& session, const TableFacts& facts, Report& report) {
    const std::string sql = fmt::format(
        "SELECT pg_total_relation_size({}::oid)::int8, (SELECT extract(epoch FROM now() AT TIME ZONE 'UTC' - "
        "least(greatest(create_date, timestamp '1970-01-01'), now() AT TIME ZONE 'UTC')) "
        "FROM ONLY {} ORDER BY id LIMIT 1)::int8",
        facts.relation_oid, facts.table);
    const PgResult answer = session.ask(sql.c_str());
    if (!answered(answer, "postgresql.rows", report))
        return;
    const int64_t bytes = answer.number(0, 0), seconds = std::max<int64_t>(answer.number(0, 1), 0);
    const std::string found = fmt::format("{} of {} has {} MiB, and its oldest row is {} old", facts.table,
                                          facts.database, bytes >> 20, duration(seconds));
    if (bytes < MANY_BYTES && seconds < OLD_SECONDS)
        return report.ok("postgresql.rows", found);
    report.warning("postgresql.rows", found,
                   "let old rows be removed: Odoo's scheduled action \"Base: Auto-vacuum internal data\", or "
                   "bus_gc(); SELECT warning FROM bus_stat tells what is in the way of the retention "
                   "(docs/sql.md)");
}

// What the gateway can do without.
ServerFacts examine_answers(const PgSession& session, Report& report) {
    const char* const name = "postgresql.answers";
    ServerFacts server;
    for (size_t i = 0; i < ServerFacts::QUESTIONS; ++i) {
        const auto question = static_cast<ServerFacts::Question>(i);
        server.answered(question, session.ask(ServerFacts::query(question, 0).c_str()));
    }
    if (server.refusals().empty())
        report.ok(name, "the server tells all that the gateway asks");
    else
        report.warning(
            name, fmt::format("the server does not tell everything: {}", fmt::join(server.refusals(), "; ")),
            "grant the gateway's role the functions; nothing, where the server is managed "
            "(docs/managed.md)");
    return server;
}

// True when the database can be served.
bool examine_database(const PgSession& session, Report& report) {
    const PgResult answer = session.ask(TableFacts::query().c_str());
    if (!answered(answer, "postgresql.bus_bus", report))
        return false;
    const TableFacts facts = TableFacts::read(answer, examine_answers(session, report));
    if (!facts.refusal.empty()) {
        const size_t cure = facts.refusal.find(": ");
        report.failed("postgresql.bus_bus",
                      fmt::format("in {} {}", facts.database, facts.refusal.substr(0, cure)),
                      facts.refusal.substr(cure + 2));
        return false;
    }
    std::string warnings;
    for (const std::string& warning : facts.warnings)
        warnings += (warnings.empty() ? "" : "; ") + warning;
    if (warnings.empty())
        report.ok("postgresql.bus_bus", fmt::format("{} of {} can be read", facts.table, facts.database));
    else
        report.warning("postgresql.bus_bus", fmt::format("in {} {}", facts.database, warnings),
                       "docs/delivery.md says what is not covered");
    examine_versions(session, facts, report);
    examine_ids(session, facts, report);
    examine_rows(session, facts, report);
    return true;
}

// The connection strings of the databases that --database names, or that --database-match finds.
std::vector<std::string> list_databases(const Options& options, const PgSession& session, Report& report) {
    if (options.database_match.empty())
        return options.databases;
    std::string wrong;
    const auto pattern = DatabasePattern::parse(options.database_match, wrong);
    const PgResult names = session.ask(
        "SELECT datname FROM pg_database WHERE datallowconn AND NOT datistemplate ORDER BY datname");
    std::vector<std::string> databases;
    for (int row = 0; names.ok() && row < names.rows(); ++row)
        if (const std::string name(names.text(row, 0)); pattern && pattern->matches(name))
            databases.push_back(with_database(options.databases.front(), name));
    if (databases.empty())
        report.failed("postgresql.match", "--database-match finds no database",
                      "compare it with the names that psql -l lists");
    if (databases.size() > options.max_databases) {
        report.warning("postgresql.match",
                       fmt::format("--database-match finds {} databases, and --max-databases is {}",
                                   databases.size(), options.max_databases),
                       "raise --max-databases, or narrow --database-match");
        databases.resize(options.max_databases);
    }
    return databases;
}

} // namespace

std::vector<std::string> examine_postgresql(const DoctorOptions& options, Report& report) {
    const char* const name = "postgresql.connection";
    const Options& gateway = options.gateway;
    const PgSession first(gateway.databases.front());
    if (!first.is_open()) {
        report.failed(name, first.problem(), first.cure());
        return {};
    }
    report.ok(name, "PostgreSQL accepts connections");
    if (!examine_pooler(first, gateway.databases.front(), report))
        return {};
    const PgResult recovery = first.ask("SELECT pg_is_in_recovery()");
    if (recovery.ok() && recovery.boolean(0, 0)) {
        report.failed("postgresql.primary", "the server is a standby, where LISTEN does not work",
                      "point --database at the primary (or several hosts with "
                      "target_session_attrs=read-write)");
        return {};
    }
    report.ok("postgresql.primary", "it is a primary");
    examine_server(first, report);
    examine_transactions(first, options.long_transaction, report);
    examine_listeners(first, report);
    examine_hub(options, report);
    std::vector<std::string> served;
    for (const std::string& conninfo : list_databases(gateway, first, report)) {
        const PgSession session(conninfo);
        if (!session.is_open())
            report.failed(name, session.problem(), session.cure());
        else if (examine_database(session, report))
            served.push_back(conninfo);
    }
    return served;
}

} // namespace odoo_bus::doctor
