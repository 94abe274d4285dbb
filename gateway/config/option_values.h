// Values of options as text: durations, sizes, numbers, listeners, choices.
//
// A Field converts one member of Options: set() accepts what get() returns.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/options.h"

namespace odoo_bus {

struct Field {
    std::string range; // "0.1 to 60"; empty when the help says it
    // Returns an empty string, or what is wrong with the value: "is not ...; give ...".
    std::function<std::string(Options&, const std::vector<std::string>&)> set;
    std::function<std::vector<std::string>(const Options&)> get;
    std::vector<std::string> choices; // the only values, where they are few
    bool is_switch = false;           // needs no value on the command line
    bool is_repeatable = false;
    bool is_secret = false; // may contain a password: never printed
};

Field seconds_field(Milliseconds Options::*member, double least, double most);
Field bytes_field(uint64_t Options::*member, uint64_t least, uint64_t most); // 1048576, 64KiB, 1MiB, 2GiB
Field count_field(uint64_t Options::*member, uint64_t least, uint64_t most);
Field rate_field(double Options::*member, double least, double most);
Field count_field(unsigned Options::*member, unsigned least, unsigned most);
Field threads_field(unsigned Options::*member, unsigned most); // or "auto"
Field switch_field(bool Options::*member);
Field text_field(std::string Options::*member);               // printable ASCII
Field texts_field(std::vector<std::string> Options::*member); // printable ASCII, or empty
Field hosts_field(std::vector<std::string> Options::*member); // names without a port, or empty
Field function_field(std::string Options::*member); // empty, or a name in SQL, with or without its schema
Field passes_field(std::vector<std::string> Options::*member);   // cookie:NAME or a header's name
Field patterns_field(std::vector<std::string> Options::*member); // or empty
Field path_field(std::string Options::*member);                  // empty, or an absolute path
Field listeners_field(std::vector<Listener> Options::*member, bool may_be_none = false); // an empty value
Field networks_field(std::vector<Network> Options::*member);                             // or "none"
Field origins_field(std::vector<std::string> Options::*member);                          // or empty
Field origin_match_field(OriginMatch Options::*member);
Field databases_field(std::vector<std::string> Options::*member);
Field match_field(std::string Options::*member);
Field hub_field(std::string Options::*member);
Field auth_field(Auth Options::*member);
Field relay_field(Switch Options::*member);
Field standby_field(Standby Options::*member);
Field worker_version_field(std::string Options::*member);
Field odoo_url_field(OdooUrl Options::*member);
Field odoo_websocket_field(std::optional<OdooUrl> Options::*member); // or empty
Field level_field(log::Level Options::*member);
Field format_field(log::Format Options::*member);

} // namespace odoo_bus
