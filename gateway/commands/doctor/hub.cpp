// The hub: the database in which Odoo notifies, and how it does it.
#include "commands/doctor/groups.h"

#include <spdlog/fmt/fmt.h>

#include "commands/doctor/pg_session.h"
#include "database/table_facts.h"
#include "postgres/conninfo.h"

namespace odoo_bus::doctor {

namespace {

bool has_hub(const Options& options) {
    return options.hub_database != "none";
}

std::string hub_conninfo(const Options& options) {
    return options.hub_database.empty() ? with_database(options.databases.front(), "postgres")
                                        : options.hub_database;
}

// Odoo's own roles: the owners of the tables.
std::string owner_oids(const std::vector<std::string>& databases) {
    std::string oids;
    for (const std::string& conninfo : databases) {
        const PgSession session(conninfo);
        const PgResult table = session.ask(TableFacts::query().c_str());
        if (!table.ok() || table.rows() == 0)
            continue;
        const PgResult owner = session.ask(fmt::format("SELECT relowner FROM pg_class WHERE oid = {}",
                                                       TableFacts::read(table, {}).relation_oid)
                                               .c_str());
        if (owner.ok() && owner.rows() > 0)
            oids += fmt::format("{}{}", oids.empty() ? "" : ",", owner.text(0, 0));
    }
    return oids;
}

// bus_notify() of the extension, and whether Odoo can call it: its schema, those of these roles that may not
// execute it, and, if the library is preloaded, the database in which its worker notifies.
std::string function_query(const std::string& roles) {
    return fmt::format(
        "SELECT n.nspname, quote_ident(n.nspname), "
        "(SELECT string_agg(quote_ident(r.rolname), ', ' ORDER BY r.rolname) FROM pg_roles r "
        "WHERE r.oid = ANY ('{{{}}}'::oid[]) AND NOT has_function_privilege(r.oid, p.oid, 'EXECUTE')), "
        "current_setting('odoo_bus.hub_database', true), current_database() "
        "FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace "
        "JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e' "
        "JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND e.oid = d.refobjid "
        "WHERE e.extname = 'odoo_bus' AND p.proname = 'bus_notify'",
        roles);
}

} // namespace

void examine_hub(const DoctorOptions& options, Report& report) {
    const char* const name = "postgresql.hub";
    if (!has_hub(options.gateway))
        return report.ok(name, "none: only notifications sent from SQL arrive at once");
    const PgSession hub(hub_conninfo(options.gateway));
    if (hub.is_open())
        return report.ok(name, "LISTEN works in the database in which Odoo notifies");
    report.failed(
        name, hub.problem(),
        fmt::format("let the gateway's role connect there (--hub-database); until then all that Odoo sends "
                    "arrives up to a second late: {}",
                    hub.cure()));
}

void examine_odoo_notify(const DoctorOptions& options, const std::vector<std::string>& databases,
                         Report& report) {
    const char* const name = "postgresql.odoo-notify";
    if (!has_hub(options.gateway))
        return;
    const PgSession hub(hub_conninfo(options.gateway));
    if (!hub.is_open())
        return;
    const PgResult function = hub.ask(function_query(owner_oids(databases)).c_str());
    if (!function.ok() || function.rows() == 0)
        return report.ok(name, "Odoo notifies by pg_notify(): its commits wait for each other, see "
                               "bus_notify() in docs/odoo.md");
    const std::string schema(function.text(0, 1)), refused(function.text(0, 2)), worker(function.text(0, 3)),
        database(function.text(0, 4));
    if (!refused.empty())
        return report.warning(name, fmt::format("in {} {} may not execute bus_notify()", database, refused),
                              fmt::format("GRANT EXECUTE ON FUNCTION {}.bus_notify(text, text) TO {}, in the "
                                          "database {}",
                                          schema, refused, database));
    if (function.is_null(0, 3))
        return report.ok(name, fmt::format("in {} bus_notify() is pg_notify(), since odoo_bus is not "
                                           "preloaded (docs/doorbell.md)",
                                           database));
    if (worker != database)
        return report.warning(
            name,
            fmt::format("in {} bus_notify() is pg_notify(), since the worker is in {}", database, worker),
            fmt::format("set odoo_bus.hub_database = '{}' in postgresql.conf", database));
    // No view: sessions of ours read none.
    const PgResult used = hub.ask(fmt::format("SELECT notified FROM {}.bus_stat()", schema).c_str());
    if (!used.ok() || used.rows() == 0)
        return report.warning(
            name, fmt::format("in {} the counters cannot be read: {}", database, used.error()),
            fmt::format("GRANT EXECUTE ON FUNCTION {}.bus_stat() to the gateway's role, there", schema));
    if (used.number(0, 0) > 0)
        return report.ok(name,
                         fmt::format("bus_notify() is used: {} notifications by it", used.number(0, 0)));
    if (function.text(0, 0) != "public")
        return report.warning(
            name,
            fmt::format("in {} bus_notify() is in the schema {}, where Odoo does not find it", database,
                        schema),
            "DROP EXTENSION odoo_bus, and CREATE EXTENSION odoo_bus SCHEMA public, there");
    report.ok(name, "bus_notify() is there, and not used: set ODOO_NOTIFY_FUNCTION=bus_notify in Odoo's "
                    "environment, and restart Odoo");
}

} // namespace odoo_bus::doctor
