// Which databases of a server are served: --database-match, as Odoo reads its dbfilter.
#pragma once

#include <memory>
#include <optional>
#include <regex>
#include <string>

namespace odoo_bus {

// A regular expression that is matched from the beginning of a database's name, like Python's re.match:
// "shop" matches shop and shop_test, "shop$" only shop.
class DatabasePattern {
public:
    // Nothing, and why in `wrong` ("is not ..."), if it is invalid.
    static std::optional<DatabasePattern> parse(const std::string& text, std::string& wrong);

    bool matches(const std::string& database) const;

private:
    explicit DatabasePattern(std::regex expression) : expression_(std::move(expression)) {}

    std::regex expression_;
};

} // namespace odoo_bus
