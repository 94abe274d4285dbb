// The command line of doctor: its options besides those of the gateway.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "commands/endpoint.h"
#include "config/option_table.h"

namespace odoo_bus::doctor {

struct DoctorOptions {
    Options gateway;
    std::optional<Endpoint> proxy; // --url, and --address
    bool json = false;
    bool send = false;
    std::string channel = "odoo_bus_doctor"; // what --send sends on
    // Credentials of those who receive; empty: none.
    std::string cookie, token;
    // The same as lines of a request's head.
    std::string identity() const;
    bool wait = false;
    uint16_t gevent_port = 8072; // 0: not checked
    std::chrono::seconds long_transaction{300};
};

const std::vector<CommandDefinition>& doctor_table();
std::string doctor_help();

// `json` is set in any case, so that an error can be reported in JSON, too.
std::variant<DoctorOptions, OptionsText, OptionsError>
parse_doctor_options(const std::vector<std::string>& arguments, bool& json);

} // namespace odoo_bus::doctor
