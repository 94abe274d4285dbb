// The configuration: the command line takes precedence over the environment, and that over the file.
//
// The defaults are here, in the members. All else about an option (its name, what it takes, help, range,
// whether a reload changes it) is in option_table.cpp, from which the parser, --help, the sample
// configuration file and the page of the manual are generated.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/log.h"
#include "config/odoo_url.h"
#include "http/address.h"
#include "http/listener.h"
#include "http/origin.h"

namespace odoo_bus {

using Milliseconds = std::chrono::milliseconds;

enum class Switch { automatic, on, off };
enum class Standby { wait, refuse };
enum class Auth { open, odoo, token, sql };

struct Options {
    std::vector<Listener> listen{{"127.0.0.1", 8073, ""}};
    std::vector<std::string> databases; // libpq connection strings
    std::string database_match;         // a regular expression; empty: the databases that are named
    unsigned max_databases = 100;
    std::string hub_database;         // empty: `postgres` of the first server; "none": no hub
    Switch relay = Switch::automatic; // of the notifications of an Odoo database to the hub
    Standby standby = Standby::wait;
    Auth auth = Auth::open;
    bool allow_open = false;
    OdooUrl odoo_url{"127.0.0.1", 8069};
    std::optional<OdooUrl> odoo_websocket; // nothing: only what the routes of HTTP carry reaches Odoo
    unsigned odoo_concurrency = 8;
    Milliseconds odoo_timeout{10'000};
    Milliseconds grant_ttl{60'000};
    std::string worker_version = "auto"; // "auto", "off" or a version
    std::string odoo_data_dir;           // empty: session files are not watched
    Milliseconds recheck_interval{300'000};
    double recheck_rate = 10; // per second
    Milliseconds max_unverified{900'000};
    std::vector<Network> trusted_proxies{*Network::parse("127.0.0.0/8"), *Network::parse("::1")};
    std::vector<std::string> allowed_origins; // as browsers send them
    OriginMatch origin_match = OriginMatch::origin;
    std::string token_keys;
    std::string token_audience;
    std::vector<std::string> token_issuers; // none: any
    std::string token_cookie = "odoo_bus_token";
    Milliseconds token_skew{30'000};
    std::string sql_function;
    std::vector<std::string> sql_passes;
    unsigned sql_connections = 4;
    Milliseconds sql_timeout{2'000};
    Milliseconds sql_cache{5'000};
    Milliseconds sql_grant{900'000};
    std::vector<std::string> presence; // channels by name or `prefix*`; none: presence is not kept
    bool presence_notifications = false;
    Milliseconds presence_heartbeat{10'000};
    Milliseconds presence_grace{10'000};
    unsigned presence_rate = 1'000; // rows per second
    uint64_t presence_max_rows = 100'000;
    uint64_t presence_max_members = 1'000; // of one channel
    std::string state_dir;                 // empty: the order is not kept across a restart
    std::vector<Listener> metrics_listen;
    std::vector<std::string> metrics_hosts; // besides addresses and localhost
    std::string metrics_token_file;         // empty: no token is asked for
    Milliseconds drain_seconds{5'000};
    Milliseconds take_over_timeout{60'000};
    unsigned threads = 0; // 0: one for each CPU
    Milliseconds history_seconds{600'000};
    uint64_t history_bytes = 256 << 20;
    uint64_t max_row_bytes = 16 << 20;

    log::Level log_level = log::Level::info;
    log::Format log_format = log::Format::text;

    uint64_t max_message_bytes = 1 << 20;
    unsigned rate_limit_burst = 10;
    Milliseconds rate_limit_delay{200};
    Milliseconds ping_interval{40'000};
    Milliseconds pong_timeout{15'000};
    Milliseconds keep_alive{3'600'000}; // plus a random 0 to 50 %
    Milliseconds heartbeat{15'000};
    Milliseconds poll_hold{50'000};
    uint64_t max_connections_per_address = 1'000;
    uint64_t max_handshakes_per_address = 200; // per second
    uint64_t max_handshakes = 0;               // per second
    uint64_t max_memory = uint64_t{2} << 30;
    uint64_t max_receive_rate = 64 << 10; // bytes per second
    uint64_t max_head_bytes = 16 << 10;
    Milliseconds head_timeout{10'000};
    uint64_t max_connections = 50'000;
    uint64_t max_queue_bytes = 1 << 20;
    Milliseconds max_queue_seconds{30'000};
    uint64_t max_channels = 10'000; // of a subscription

    bool check_config = false;
    std::vector<std::string> warnings; // one sentence for each retired option that is set

    // For how long a request to Odoo may wait before it is sent.
    Milliseconds odoo_wait() const { return 2 * odoo_timeout; }
    // Within which a client's message must be complete.
    Milliseconds message_timeout() const { return 3 * head_timeout; }
};

// A configuration error: one sentence with the option's name and its place. Exit code 2.
struct OptionsError {
    std::string message;
};

// A text for standard output instead of a run: --help, --version, --print-config. Exit code 0.
struct OptionsText {
    std::string text;
};

// The environment; replaced in tests.
using Environment = std::function<const char*(const char* name)>;
Environment process_environment();

using Parsed = std::variant<Options, OptionsText, OptionsError>;

// `arguments`: without the program's name; may begin with the word `run`.
Parsed parse_options(const std::vector<std::string>& arguments,
                     const Environment& environment = process_environment());

struct Reload {
    Options options;                        // the running ones, with what may change changed
    std::vector<std::string> changed;       // "--log-level: debug (was info)"
    std::vector<std::string> needs_restart; // options that differ and keep their running value
};

// Parses all sources again, for SIGHUP. An invalid configuration changes nothing.
std::variant<Reload, OptionsError> reload_options(const Options& running,
                                                  const std::vector<std::string>& arguments,
                                                  const Environment& environment = process_environment());

} // namespace odoo_bus
