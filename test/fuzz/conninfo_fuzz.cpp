// Whatever stands in --database: the same connection string for another database differs in nothing else, and
// whatever that database is called. The name stands behind the first line break.
#include "postgres/conninfo.h"

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <libpq-fe.h>

#include "cost.h"

using namespace odoo_bus;

namespace {

using Keywords = std::map<std::string, std::string>;

std::optional<Keywords> read(const std::string& conninfo) {
    const std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)> options(
        PQconninfoParse(conninfo.c_str(), nullptr), PQconninfoFree);
    if (!options)
        return std::nullopt;
    Keywords keywords;
    for (const PQconninfoOption* each = options.get(); each->keyword; ++each)
        if (each->val)
            keywords[each->keyword] = each->val;
    return keywords;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string text(reinterpret_cast<const char*>(data), size);
    if (text.find('\0') != text.npos) // cannot be given
        return 0;
    const size_t newline = text.find('\n');
    const std::string conninfo = text.substr(0, newline);
    const std::string name = newline == text.npos ? "other" : text.substr(newline + 1);

    std::string error;
    const std::string database = database_of(conninfo, error);
    auto keywords = read(conninfo);
    assert(database.empty() == !error.empty());
    if (!keywords) {
        assert(database.empty());
        return 0;
    }
    if (keywords->contains("dbname") && !keywords->at("dbname").empty())
        assert(database == keywords->at("dbname"));
    const std::string other = with_database(conninfo, name);
    (*keywords)["dbname"] = name;
    assert(read(other) == keywords);
    assert(with_database(other, name) == other);
    if (!name.empty())
        assert(database_of(other, error) == name);
    if (conninfo.size() < 64 && is_measured(text))
        assert_linear(
            1'000,
            [&](size_t parts) {
                std::string many;
                for (size_t i = 0; i < parts; ++i)
                    many += conninfo + " application_name=" + std::to_string(i) + " ";
                return many;
            },
            [](const std::string& many) { with_database(many, "other"); });
    return 0;
}
