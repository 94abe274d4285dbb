// The results of all checks, in order.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "commands/doctor/check.h"

namespace odoo_bus::doctor {

class Report {
public:
    void ok(std::string name, std::string found);
    void warning(std::string name, std::string found, std::string cure);
    void failed(std::string name, std::string found, std::string cure);
    void add(Check check) { checks_.push_back(std::move(check)); }

    const std::vector<Check>& checks() const { return checks_; }
    State worst() const;
    // One line for each check, printable whatever servers sent.
    std::string text() const;
    // {"state":"failed","checks":[{"name":...,"state":...,"found":...,"cure":...}]}
    std::string json() const;

private:
    std::vector<Check> checks_;
};

std::string_view name_of(State state);

} // namespace odoo_bus::doctor
