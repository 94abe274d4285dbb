// Which databases of a server are served.
#include "config/database_pattern.h"

#include <spdlog/fmt/fmt.h>

namespace odoo_bus {

namespace {

constexpr size_t MAX_LENGTH = 1000;

// A role that may create databases chooses their names: no name may take long to match, so back-tracking is
// turned off.
#ifdef __GLIBCXX__
constexpr auto SYNTAX = std::regex::ECMAScript | std::regex_constants::__polynomial;
#else
constexpr auto SYNTAX = std::regex::ECMAScript;
#endif

} // namespace

std::optional<DatabasePattern> DatabasePattern::parse(const std::string& text, std::string& wrong) {
    if (text.size() > MAX_LENGTH) {
        wrong = fmt::format("is longer than {} characters", MAX_LENGTH);
        return std::nullopt;
    }
    // In Odoo's dbfilter they stand for the host of a request.
    if (text.find("%h") != text.npos || text.find("%d") != text.npos) {
        wrong =
            "holds %h or %d, which stand for a request's host: one pattern serves all hosts; write .* or .+ "
            "instead";
        return std::nullopt;
    }
    try {
        return DatabasePattern(std::regex(text, SYNTAX));
    } catch (const std::regex_error& error) {
        wrong = fmt::format("is not a regular expression ({})", error.what());
        return std::nullopt;
    }
}

bool DatabasePattern::matches(const std::string& database) const {
    return std::regex_search(database, expression_, std::regex_constants::match_continuous);
}

} // namespace odoo_bus
