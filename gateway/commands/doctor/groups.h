// The groups of doctor's checks, from the machine outwards.
#pragma once

#include <string>
#include <vector>

#include "commands/doctor/doctor_options.h"
#include "commands/doctor/report.h"

namespace odoo_bus::doctor {

void examine_machine(const DoctorOptions& options, Report& report);
// The names of the databases that can be served.
std::vector<std::string> examine_postgresql(const DoctorOptions& options, Report& report);
void examine_hub(const DoctorOptions& options, Report& report);
// How Odoo, whose databases these are, issues its NOTIFY in the hub.
void examine_odoo_notify(const DoctorOptions& options, const std::vector<std::string>& databases,
                         Report& report);
void examine_odoo(const DoctorOptions& options, const std::vector<std::string>& databases, Report& report);
// True when it responds as it should. `is_known`: that it cannot read its database is reported already.
bool examine_gateway(const DoctorOptions& options, bool is_known, Report& report);
// True when a WebSocket opens through the proxy.
bool examine_proxy(const DoctorOptions& options, Report& report);
void examine_delivery(const DoctorOptions& options, const std::string& database, bool through_proxy,
                      Report& report);

} // namespace odoo_bus::doctor
