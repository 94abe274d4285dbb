// odoo-bus-gateway doctor.
#include "commands/doctor/doctor.h"

#include <cstdio>

#include "commands/doctor/groups.h"

namespace odoo_bus {

namespace {

using namespace doctor;

void examine(const DoctorOptions& options, Report& report) {
    examine_machine(options, report);
    const std::vector<std::string> databases = examine_postgresql(options, report);
    if (options.gateway.auth == Auth::odoo) {
        examine_odoo_notify(options, databases, report);
        examine_odoo(options, databases, report);
    }
    const bool serves = examine_gateway(options, databases.empty(), report);
    // Behind a gateway that does not respond, the proxy cannot be judged.
    const bool passes = serves && options.proxy && examine_proxy(options, report);
    if (options.send && serves && !databases.empty())
        examine_delivery(options, databases.front(), passes, report);
}

} // namespace

int run_doctor(const std::vector<std::string>& arguments) {
    Report report;
    bool json = false;
    const auto parsed = parse_doctor_options(arguments, json);
    if (const auto* text = std::get_if<OptionsText>(&parsed)) {
        fputs(text->text.c_str(), stdout);
        return 0;
    }
    if (const auto* problem = std::get_if<OptionsError>(&parsed))
        report.failed("configuration", problem->message, "correct it; then doctor checks the rest");
    else
        examine(std::get<DoctorOptions>(parsed), report);
    const std::string text = json ? report.json() + "\n" : report.text();
    fputs(text.c_str(), stdout);
    return static_cast<int>(report.worst());
}

} // namespace odoo_bus
