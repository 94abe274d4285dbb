// Why PostgreSQL cannot be connected to.
#include "commands/doctor/connection_cure.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/text.h"

namespace odoo_bus::doctor {

namespace {

struct Cure {
    std::string_view state; // SQLSTATE
    const char* text;
};

// Of PostgreSQL's appendix "PostgreSQL Error Codes", what a connection may end with; 08P01 is PgBouncer's.
constexpr Cure CURES[] = {
    {"28P01", "correct the password, in the file that passfile= or service= of --database names, or set it: "
              "ALTER ROLE ... PASSWORD"},
    {"3D000", "correct dbname= of --database; psql -l lists the databases of this server"},
    {"42501", "GRANT CONNECT ON DATABASE ... TO the role of --database"},
    {"53300",
     "raise max_connections of PostgreSQL, or the role's CONNECTION LIMIT; the gateway needs one for "
     "each database, and one for the hub"},
    {"57P03", "wait until PostgreSQL has started; its log says how far its recovery is, or who stops it"},
    {"08P01",
     "the pooler does not know this database, user or setting: correct its configuration, or connect "
     "to PostgreSQL itself"},
};
// invalid_authorization_specification: over TCP that is pg_hba.conf's, over a socket the method peer's.
constexpr std::string_view REFUSED_BY_HBA = "28000";

struct ErrnoCure {
    int error;
    const char* text;
};

// libpq ends what it says of a failed system call with strerror().
constexpr ErrnoCure ERRNO_CURES[] = {
    {ECONNREFUSED, "start PostgreSQL, or correct host= and port= of --database: nobody listens there "
                   "(pg_lsclusters; listen_addresses of postgresql.conf)"},
    {ENOENT, "start PostgreSQL, or correct host= and port= of --database: there is no socket of this name "
             "(pg_lsclusters; unix_socket_directories of postgresql.conf)"},
    {EACCES, "let the gateway's user enter the directory of the socket, or connect with host=localhost"},
    {EHOSTUNREACH, "correct host= of --database, or the network: no way leads there"},
    {ENETUNREACH, "correct host= of --database, or the network: no way leads there"},
    {ETIMEDOUT, "correct host= of --database, or let the firewall pass its port: nothing answers"},
};

// What libpq says by itself.
constexpr struct {
    std::string_view words;
    const char* cure;
} WORDS[] = {
    {"could not translate host name", "correct host= of --database: its name is not known (getent hosts)"},
    {"timeout expired", "correct host= of --database, or let the firewall pass its port: nothing answers"},
    {"no password supplied", "give the password in a file: passfile= or service= of --database (a line "
                             "host:port:database:role:password)"},
    {"received invalid response", "correct port= of --database: another server listens there"},
    {"expected authentication request", "correct port= of --database: another server listens there"},
    {"certificate", "give sslrootcert= the authority that has signed the server's certificate, and host= the "
                    "name in it"},
    {"server does not support SSL", "set ssl = on in postgresql.conf, or sslmode=prefer in --database"},
};

bool says_state(std::string_view problem, std::string_view state) {
    return problem.find(std::string(" ") + std::string(state) + ": ") != problem.npos;
}

} // namespace

std::string connection_cure(std::string_view problem, bool over_socket) {
    for (const Cure& cure : CURES)
        if (says_state(problem, cure.state))
            return cure.text;
    if (says_state(problem, REFUSED_BY_HBA))
        return over_socket ? "with the method peer of pg_hba.conf the role is the operating system's user: "
                             "CREATE ROLE of its name, or map them in pg_ident.conf, or connect with "
                             "host=localhost and a password"
                           : "let the role connect: a line of pg_hba.conf for this database, role and "
                             "address, pg_reload_conf(), and ALTER ROLE ... LOGIN";
    for (const auto& each : WORDS)
        if (problem.find(each.words) != problem.npos)
            return each.cure;
    for (const ErrnoCure& cure : ERRNO_CURES)
        if (problem.find(std::strerror(cure.error)) != problem.npos)
            return cure.text;
    return "see the server's log, and correct --database, pg_hba.conf or the role's privileges";
}

std::string in_one_line(std::string_view problem) {
    std::string line;
    while (!problem.empty()) {
        const std::string_view part = problem.substr(0, problem.find('\n'));
        problem.remove_prefix(std::min(problem.size(), part.size() + 1));
        // "LOCATION:  auth_failed, auth.c:323", in the server's language.
        if (part.find(".c:") != part.npos || trim(part).empty())
            continue;
        line += line.empty() ? "" : " ";
        line += trim(part);
    }
    return line;
}

} // namespace odoo_bus::doctor
