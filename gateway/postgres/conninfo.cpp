// Connection strings, by libpq's own parser and with its own defaults.
#include "postgres/conninfo.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <string_view>

#include <libpq-fe.h>
#include <sys/stat.h>
#include <unistd.h>

namespace odoo_bus {

namespace {

using ConninfoOptions = std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)>;

std::string value_of(const PQconninfoOption* options, std::string_view keyword) {
    for (; options && options->keyword; ++options)
        if (keyword == options->keyword && options->val)
            return options->val;
    return {};
}

using Connection = std::unique_ptr<PGconn, decltype(&PQfinish)>;

// The database of the service that it names, by libpq: it reads the file of services when a connection
// begins. This one goes nowhere.
std::string database_of_service(const std::string& conninfo, std::string& error) {
    const char* const keywords[] = {"dbname", "host", "hostaddr", "port", nullptr};
    const char* const values[] = {conninfo.c_str(), "/nonexistent", "127.0.0.1", "1", nullptr};
    const Connection none(PQconnectStartParams(keywords, values, 1), PQfinish);
    const char* const database = PQdb(none.get());
    if (database && *database)
        return database;
    error = PQerrorMessage(none.get());
    std::ranges::replace(error, '\n', ' ');
    return {};
}

} // namespace

std::string judge_passfile(const std::string& conninfo) {
    const ConninfoOptions given(PQconninfoParse(conninfo.c_str(), nullptr), PQconninfoFree);
    const std::string path = value_of(given.get(), "passfile");
    struct stat status = {};
    if (path.empty())
        return {};
    if (stat(path.c_str(), &status) != 0)
        return "passfile " + path + ": " + strerror(errno);
    if (!S_ISREG(status.st_mode))
        return "passfile " + path + " is not a regular file";
    return (status.st_mode & (S_IRWXG | S_IRWXO)) == 0
               ? ""
               : "passfile " + path + " is ignored, since other users can read it: chmod 600";
}

std::vector<std::string> unreadable_files(const std::string& conninfo) {
    const ConninfoOptions given(PQconninfoParse(conninfo.c_str(), nullptr), PQconninfoFree);
    std::vector<std::string> unreadable;
    for (const char* keyword : {"sslrootcert", "sslcert", "sslkey", "sslcrl", "sslcrldir"}) {
        const std::string path = value_of(given.get(), keyword);
        const bool is_file = !path.empty() && path != "system" && !path.starts_with("pkcs11:");
        if (is_file && access(path.c_str(), R_OK) != 0)
            unreadable.push_back(std::string(keyword) + " " + path + ": " + strerror(errno));
    }
    return unreadable;
}

std::string database_of(const std::string& conninfo, std::string& error) {
    char* message = nullptr;
    const ConninfoOptions given(PQconninfoParse(conninfo.c_str(), &message), PQconninfoFree);
    if (!given) {
        error = message ? message : "out of memory";
        PQfreemem(message);
        while (error.ends_with('\n'))
            error.pop_back();
        return {};
    }
    const bool has_service = !value_of(given.get(), "service").empty();
    if (has_service && value_of(given.get(), "dbname").empty())
        return database_of_service(conninfo, error);
    const ConninfoOptions defaults(PQconndefaults(), PQconninfoFree);
    for (const char* keyword : {"dbname", "user"})
        for (const PQconninfoOption* options : {given.get(), defaults.get()})
            if (std::string value = value_of(options, keyword); !value.empty())
                return value;
    error = "it names no database";
    return {};
}

std::string with_database(const std::string& conninfo, const std::string& database) {
    const ConninfoOptions given(PQconninfoParse(conninfo.c_str(), nullptr), PQconninfoFree);
    std::string result;
    auto add = [&result](std::string_view keyword, std::string_view value) {
        result += keyword;
        result += "='";
        for (const char c : value) {
            if (c == '\'' || c == '\\')
                result += '\\';
            result += c;
        }
        result += "' ";
    };
    for (const PQconninfoOption* option = given.get(); option && option->keyword; ++option)
        if (option->val && std::string_view(option->keyword) != "dbname")
            add(option->keyword, option->val);
    add("dbname", database);
    return result;
}

} // namespace odoo_bus
