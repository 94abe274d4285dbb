// Connection strings, by libpq's own parser and with its own defaults.
#include "postgres/conninfo.h"

#include <memory>

#include <libpq-fe.h>

namespace odoo_bus {

namespace {

using ConninfoOptions = std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)>;

std::string value_of(const PQconninfoOption* options, std::string_view keyword) {
    for (; options && options->keyword; ++options)
        if (keyword == options->keyword && options->val)
            return options->val;
    return {};
}

} // namespace

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
