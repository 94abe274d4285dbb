// Why PostgreSQL cannot be connected to.
#include "commands/doctor/connection_cure.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/text.h"

namespace odoo_bus::doctor {

namespace {

constexpr const char* NOTHING_ANSWERS =
    "correct host= of --database, or let the firewall pass its port: nothing answers";
constexpr const char* NO_WAY = "correct host= of --database, or the network: no way leads there";
constexpr const char* ANOTHER_SERVER = "correct port= of --database: another server listens there";

struct StateCure {
    std::string_view state; // SQLSTATE
    const char* text;
};

// Of PostgreSQL's appendix "PostgreSQL Error Codes", what a connection may end with; 08P01 is PgBouncer's.
constexpr StateCure STATES[] = {
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

struct WordsCure {
    const char* words;
    const char* text;
};

// What libpq says by itself, or ends with: strerror() of a system call that has failed.
const WordsCure WORDS[] = {
    {"could not translate host name", "correct host= of --database: its name is not known (getent hosts)"},
    {"timeout expired", NOTHING_ANSWERS},
    {"no password supplied", "give the password in a file: passfile= or service= of --database (a line "
                             "host:port:database:role:password)"},
    {"received invalid response", ANOTHER_SERVER},
    {"expected authentication request", ANOTHER_SERVER},
    {"certificate", "give sslrootcert= the authority that has signed the server's certificate, and host= the "
                    "name in it"},
    {"server does not support SSL", "set ssl = on in postgresql.conf, or sslmode=prefer in --database"},
    {strerror(ECONNREFUSED),
     "start PostgreSQL, or correct host= and port= of --database: nobody listens there "
     "(pg_lsclusters; listen_addresses of postgresql.conf)"},
    {strerror(ENOENT),
     "start PostgreSQL, or correct host= and port= of --database: there is no socket of this "
     "name (pg_lsclusters; unix_socket_directories of postgresql.conf)"},
    {strerror(EACCES), "let the gateway's user enter the directory of the socket, or connect with "
                       "host=localhost"},
    {strerror(EHOSTUNREACH), NO_WAY},
    {strerror(ENETUNREACH), NO_WAY},
    {strerror(ETIMEDOUT), NOTHING_ANSWERS},
};

bool says_state(std::string_view problem, std::string_view state) {
    return problem.find(std::string(" ") + std::string(state) + ": ") != problem.npos;
}

} // namespace

std::string connection_cure(std::string_view problem, bool over_socket) {
    for (const StateCure& cure : STATES)
        if (says_state(problem, cure.state))
            return cure.text;
    if (says_state(problem, REFUSED_BY_HBA))
        return over_socket ? "with the method peer of pg_hba.conf the role is the operating system's user: "
                             "CREATE ROLE of its name, or map them in pg_ident.conf, or connect with "
                             "host=localhost and a password"
                           : "let the role connect: a line of pg_hba.conf for this database, role and "
                             "address, pg_reload_conf(), and ALTER ROLE ... LOGIN";
    for (const WordsCure& cure : WORDS)
        if (problem.find(cure.words) != problem.npos)
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
