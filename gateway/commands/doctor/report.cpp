// The results of all checks.
#include "commands/doctor/report.h"

#include <algorithm>

#include <spdlog/fmt/fmt.h>

#include "base/json.h"
#include "base/log.h"

namespace odoo_bus::doctor {

std::string_view name_of(State state) {
    switch (state) {
    case State::ok:
        return "ok";
    case State::warning:
        return "warning";
    case State::failed:
        break;
    }
    return "failed";
}

void Report::ok(std::string name, std::string found) {
    add({std::move(name), State::ok, std::move(found), ""});
}

void Report::warning(std::string name, std::string found, std::string cure) {
    add({std::move(name), State::warning, std::move(found), std::move(cure)});
}

void Report::failed(std::string name, std::string found, std::string cure) {
    add({std::move(name), State::failed, std::move(found), std::move(cure)});
}

State Report::worst() const {
    State worst = State::ok;
    for (const Check& check : checks_)
        worst = std::max(worst, check.state);
    return worst;
}

std::string Report::text() const {
    std::string text;
    for (const Check& check : checks_)
        text += fmt::format("{:<8} {:<24} {}{}{}\n", name_of(check.state), check.name,
                            log::printable(check.found), check.cure.empty() ? "" : ": ",
                            log::printable(check.cure));
    return text;
}

std::string Report::json() const {
    const Json list(json_array());
    for (const Check& check : checks_) {
        const std::string found = log::printable(check.found), cure = log::printable(check.cure);
        json_array_append_new(list.get(), json_pack("{s:s, s:s, s:s, s:s}", "name", check.name.c_str(),
                                                    "state", name_of(check.state).data(), "found",
                                                    found.c_str(), "cure", cure.c_str()));
    }
    const Json report(json_pack("{s:s, s:O}", "state", name_of(worst()).data(), "checks", list.get()));
    const std::unique_ptr<char, decltype(&free)> text(json_dumps(report.get(), JSON_COMPACT), &free);
    return text ? text.get() : "";
}

} // namespace odoo_bus::doctor
