// The command line of `odoo-bus-gateway tail`.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "config/arguments.h"
#include "config/options.h"

namespace odoo_bus {

struct TailOptions {
    // The URL, in parts. A unix socket's address is its path behind a "+", as libwebsockets takes it.
    std::string url;
    std::string address;
    int port = 0;
    bool tls = false;
    std::string host;   // for the header
    std::string target; // path and query

    std::vector<std::string> channels;
    uint64_t count = 0; // 0: without end
    int64_t last = 0;
    bool json = false;
    bool insecure = false;
    std::string cookie;
};

// False, and a sentence in `error`, for what is not ws://host[:port][/path], wss://..., or ws+unix:/path.
// Without a path it is /websocket.
bool parse_url(const std::string& url, TailOptions& options, std::string& error);

const std::vector<CommandDefinition>& tail_table();
extern const char* const TAIL_NOTES; // what the help says below the options
std::variant<TailOptions, OptionsText, OptionsError>
parse_tail_options(const std::vector<std::string>& arguments);

} // namespace odoo_bus
