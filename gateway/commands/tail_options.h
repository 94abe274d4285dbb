// The command line of `odoo-bus-gateway tail`.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "commands/endpoint.h"
#include "config/arguments.h"
#include "config/options.h"

namespace odoo_bus {

struct TailOptions {
    std::string url;
    Endpoint endpoint;
    std::vector<std::string> channels;
    uint64_t count = 0; // 0: no end
    int64_t last = 0;
    bool json = false;
    bool insecure = false;
    std::string cookie;
};

const std::vector<CommandDefinition>& tail_table();
extern const char* const TAIL_NOTES; // what the help says below the options
std::variant<TailOptions, OptionsText, OptionsError>
parse_tail_options(const std::vector<std::string>& arguments);

} // namespace odoo_bus
