// Every option, described once. Defaults stand in options.h.
#include "config/option_table.h"

#include <algorithm>
#include <cctype>

namespace odoo_bus {

namespace {

constexpr uint64_t KIB = uint64_t{1} << 10;
constexpr uint64_t MIB = uint64_t{1} << 20;
constexpr uint64_t GIB = uint64_t{1} << 30;
constexpr bool RELOADS = true;
constexpr bool NEEDS_RESTART = false;

std::vector<OptionDefinition> build_table() {
    using O = Options;
    const char* const connect = "Where to listen and whom to serve";
    const char* const odoo = "Asking Odoo (with --auth odoo)";
    const char* const token = "Tokens (with --auth token)";
    const char* const sql = "A function in SQL (with --auth sql)";
    const char* const presence = "Who is present (with --auth token or sql)";
    const char* const keep = "What is kept";
    const char* const protocol = "Clients (defaults as Odoo's)";
    const char* const bounds = "Bounds";
    const char* const logging = "Log";
    return {
        {"listen", "ADDR:PORT|unix:PATH", connect,
         "Serve at this numeric address and port, or at this unix socket; [::1]:8073 for IPv6. Port 0 takes "
         "any "
         "free one, which the log names. May be repeated.",
         NEEDS_RESTART, listeners_field(&O::listen)},
        {"database", "CONNINFO", connect,
         "Serve the notifications of this database: a libpq connection string or URI. The database's own "
         "name is "
         "what channels carry. May be repeated; at least one is needed.",
         NEEDS_RESTART, databases_field(&O::databases)},
        {"database-match", "REGEX", connect,
         "Serve all databases of --database's server whose name this matches from its beginning, as Odoo's "
         "dbfilter does, instead of the one that --database names; they are found while the gateway runs, "
         "and "
         "forgotten when they are dropped or renamed. Empty: the named ones.",
         NEEDS_RESTART, match_field(&O::database_match)},
        {"max-databases", "N", connect, "Serve at most so many that --database-match finds.", NEEDS_RESTART,
         count_field(&O::max_databases, 1u, 1'000u)},
        {"hub-database", "CONNINFO|none", connect,
         "Where Odoo notifies. Empty: the database `postgres` of the first database's server. `none`: "
         "nowhere, "
         "so that only notifications sent in SQL arrive at once.",
         NEEDS_RESTART, hub_field(&O::hub_database)},
        {"relay", "WHEN", connect,
         "Pass on what is notified in an Odoo database to the hub database, so that Odoo's own servers hear "
         "what was "
         "sent in SQL; of several gateways one does. `auto`: unless odoo_bus is preloaded there and does it "
         "itself.",
         NEEDS_RESTART, relay_field(&O::relay)},
        {"standby", "wait|refuse", connect,
         "What to do when the server is a standby. `wait`: say so, and begin when it is promoted. `refuse`: "
         "when that is so at the start, exit with code 1.",
         NEEDS_RESTART, standby_field(&O::standby)},
        {"auth", "MODE", connect,
         "Who may see what. `odoo`: Odoo is asked, as its own server would decide. `token`: a signed token "
         "(JWT) "
         "says it. `sql`: a function in the database says it. `open`, for development: everyone sees every "
         "channel "
         "that has a string's name.",
         NEEDS_RESTART, auth_field(&O::auth)},
        {"allow-open", "", connect, "Let `open` listen at addresses that other machines can reach.",
         NEEDS_RESTART, switch_field(&O::allow_open)},
        {"trusted-proxy", "NETWORK|none", connect,
         "Believe the headers X-Forwarded-For, -Host and -Proto of connections from this address or network: "
         "they are your proxy's. Connections to a unix socket are always believed. May be repeated.",
         RELOADS, networks_field(&O::trusted_proxies)},
        {"allowed-origin", "ORIGIN", connect,
         "Serve pages of this origin, like https://shop.example.com, as those of one's own host: with their "
         "cookies. May be repeated.",
         RELOADS, origins_field(&O::allowed_origins)},
        {"metrics-listen", "ADDR:PORT|unix:PATH", connect,
         "Answer /metrics (for Prometheus) and /ready (for load balancers) here; `odoo-bus-gateway status` "
         "asks there, "
         "too. Not for the public: it tells the names of databases. May be repeated.",
         NEEDS_RESTART, listeners_field(&O::metrics_listen, true)},
        {"drain-seconds", "SECONDS", connect,
         "After SIGUSR2, when the new process has taken over, clients of the old one are sent there spread "
         "over "
         "this time (WebSockets are closed with 4002); then it exits.",
         RELOADS, seconds_field(&O::drain_seconds, 0, 3'600)},
        {"take-over-timeout", "SECONDS", connect,
         "A new process that was started by SIGUSR2 and is not ready after this time is ended, and the old "
         "one "
         "goes on as before.",
         RELOADS, seconds_field(&O::take_over_timeout, 0.1, 3'600)},
        {"threads", "auto|N", connect, "Threads that serve connections. `auto`: one for each CPU.",
         NEEDS_RESTART, threads_field(&O::threads, 256)},

        {"odoo-url", "URL", odoo,
         "Where Odoo's own HTTP port is; http only, and never through the proxy that is in front of the "
         "gateway.",
         NEEDS_RESTART, odoo_url_field(&O::odoo_url)},
        {"odoo-concurrency", "N", odoo, "Ask Odoo at most so many questions at a time.", RELOADS,
         count_field(&O::odoo_concurrency, 1u, 1'000u)},
        {"odoo-timeout", "SECONDS", odoo, "Give up a question that is not answered within this time.",
         RELOADS, seconds_field(&O::odoo_timeout, 0.1, 600)},
        {"odoo-wait", "SECONDS", odoo,
         "Give up a question for which Odoo was too busy for this long. New clients that would have to wait "
         "longer are refused with 503.",
         RELOADS, seconds_field(&O::odoo_wait, 0.1, 600)},
        {"grant-ttl", "SECONDS", odoo,
         "Let a client come back within this time without asking Odoo anew. With --state-dir, also after a "
         "restart.",
         RELOADS, seconds_field(&O::grant_ttl, 0, 3'600)},
        {"worker-version", "auto|off|VERSION", odoo,
         "Tell pages whose script has another version than this to be loaded anew, as Odoo does (close code "
         "1000, "
         "OUTDATED_VERSION). `auto`: the version that Odoo's login page names; while it names none, nobody "
         "is told.",
         RELOADS, worker_version_field(&O::worker_version)},
        {"odoo-data-dir", "DIR", odoo,
         "Watch the names of session files in this data_dir of Odoo (their content is never read), so that a "
         "logout "
         "is seen at once. Empty: do not.",
         NEEDS_RESTART, path_field(&O::odoo_data_dir)},
        {"recheck-interval", "SECONDS", odoo,
         "Ask Odoo again after this time whether a client that was sent something may still see what it "
         "sees.",
         RELOADS, seconds_field(&O::recheck_interval, 0.1, 86'400)},
        {"recheck-rate", "N", odoo, "Ask so at most so many times a second in all.", RELOADS,
         rate_field(&O::recheck_rate, 0.01, 10'000)},
        {"max-unverified", "SECONDS", odoo,
         "Let connected clients go on this long while Odoo cannot be asked about them; then close with 1013.",
         RELOADS, seconds_field(&O::max_unverified, 1, 86'400)},

        {"token-keys", "FILE", token,
         "Verify tokens (JWT: HS256, RS256, ES256) with the keys in this file: a JWKS, public keys in PEM, "
         "or a "
         "secret of 32 bytes or more. It is read again when it changes.",
         NEEDS_RESTART, path_field(&O::token_keys)},
        {"token-audience", "NAME", token,
         "Accept tokens whose `aud` names this. Empty: those that have none.", RELOADS,
         text_field(&O::token_audience)},
        {"token-cookie", "NAME", token,
         "Find the token in this cookie of one's own pages, when it is neither in Authorization nor among "
         "the "
         "WebSocket's subprotocols.",
         RELOADS, text_field(&O::token_cookie)},
        {"token-skew", "SECONDS", token, "Bear so much difference between the clocks.", RELOADS,
         seconds_field(&O::token_skew, 0, 3'600)},

        {"auth-sql-function", "NAME", sql,
         "Ask this function of the database: (request jsonb, channels text[]) returns text[], the stored "
         "channels "
         "that are granted; NULL closes with 4001.",
         NEEDS_RESTART, function_field(&O::sql_function)},
        {"sql-pass", "cookie:NAME|HEADER", sql,
         "Tell the function this cookie (of one's own pages), or this header: authorization, user-agent, "
         "accept-language, host. May be repeated.",
         NEEDS_RESTART, passes_field(&O::sql_passes)},
        {"sql-connections", "N", sql, "Ask with so many connections for each database.", NEEDS_RESTART,
         count_field(&O::sql_connections, 1u, 100u)},
        {"sql-timeout", "SECONDS", sql, "Give up a question after this time, and close with 1013.",
         NEEDS_RESTART, seconds_field(&O::sql_timeout, 0.1, 60)},
        {"sql-cache", "SECONDS", sql, "Let clients that come back within this time be granted the same.",
         NEEDS_RESTART, seconds_field(&O::sql_cache, 0, 3'600)},
        {"sql-grant", "SECONDS", sql,
         "Ask anew after this time at the latest: what is not granted any more stops by then.", NEEDS_RESTART,
         seconds_field(&O::sql_grant, 0.1, 86'400)},

        {"presence", "CHANNEL|PREFIX*", presence,
         "Keep who is on this channel, or on those that begin so (`*`: on any), in the table bus_presence of "
         "the "
         "database, which SELECT bus_create_presence_table() makes. A member is the token's `sub`, or what "
         "the "
         "function of --auth-sql-function returns in its column `member`. May be repeated; empty: do not.",
         NEEDS_RESTART, patterns_field(&O::presence)},
        {"presence-notifications", "", presence,
         "Tell the channel when a member joins or leaves, by a notification of the type `presence`.",
         NEEDS_RESTART, switch_field(&O::presence_notifications)},
        {"presence-heartbeat", "SECONDS", presence,
         "Say in the database this often that this gateway lives; the members of one that was not heard of "
         "for "
         "three times as long have left.",
         NEEDS_RESTART, seconds_field(&O::presence_heartbeat, 0.1, 3'600)},
        {"presence-grace", "SECONDS", presence,
         "A member whose last connection has ended leaves after this time, unless another one comes: a page "
         "that "
         "is loaded anew is not seen to leave.",
         NEEDS_RESTART, seconds_field(&O::presence_grace, 0, 3'600)},
        {"presence-rate", "N", presence, "Write at most so many rows a second, in five transactions.",
         NEEDS_RESTART, count_field(&O::presence_rate, 5u, 100'000u)},
        {"presence-max-rows", "N", presence,
         "Keep at most so many members on channels; further ones are served, and not shown as present.",
         NEEDS_RESTART, count_field(&O::presence_max_rows, uint64_t{1}, uint64_t{10'000'000})},
        {"presence-max-members", "N", presence, "The same, for each channel.", NEEDS_RESTART,
         count_field(&O::presence_max_members, uint64_t{1}, uint64_t{1'000'000})},

        {"state-dir", "DIR", keep,
         "Remember the order of notifications in this directory, so that clients resume where they were "
         "after a "
         "restart or crash of the gateway. Empty: remember nothing.",
         NEEDS_RESTART, path_field(&O::state_dir)},
        {"history-seconds", "SECONDS", keep, "Keep notifications this long for clients that come back.",
         NEEDS_RESTART, seconds_field(&O::history_seconds, 1, 604'800)},
        {"history-bytes", "BYTES", keep, "Keep at most so much of them, for each database.", NEEDS_RESTART,
         bytes_field(&O::history_bytes, 64 * KIB, 1024 * GIB)},

        {"max-message-bytes", "BYTES", protocol, "Close with 1009 when a client sends a larger message.",
         RELOADS, bytes_field(&O::max_message_bytes, 128, 64 * MIB)},
        {"rate-limit-burst", "N", protocol,
         "Close with 1013 when a client sends more messages than this within as many times "
         "--rate-limit-delay.",
         RELOADS, count_field(&O::rate_limit_burst, 1u, 1'000'000u)},
        {"rate-limit-delay", "SECONDS", protocol, "See --rate-limit-burst.", RELOADS,
         seconds_field(&O::rate_limit_delay, 0.001, 3'600)},
        {"ping-interval", "SECONDS", protocol, "Ping a client after so much silence.", RELOADS,
         seconds_field(&O::ping_interval, 0.1, 86'400)},
        {"pong-timeout", "SECONDS", protocol, "Drop a client that does not answer a ping within this time.",
         RELOADS, seconds_field(&O::pong_timeout, 0.1, 86'400)},
        {"keep-alive", "SECONDS", protocol,
         "Close with 4002 after this time and a random 0 to 50 % of it, so that clients connect anew.",
         RELOADS, seconds_field(&O::keep_alive, 0.1, 604'800)},
        {"heartbeat", "SECONDS", protocol, "Send a sign of life on an event stream after so much silence.",
         RELOADS, seconds_field(&O::heartbeat, 0.1, 3'600)},
        {"poll-hold", "SECONDS", protocol, "Answer a long poll after this time, though nothing has come.",
         RELOADS, seconds_field(&O::poll_hold, 0.1, 3'600)},

        {"max-connections", "N", bounds, "Refuse further connections with 503.", RELOADS,
         count_field(&O::max_connections, uint64_t{1}, uint64_t{10'000'000})},
        {"max-connections-per-address", "N", bounds,
         "Refuse further connections of one address (of IPv6, its /64) with 429; 0: do not count. Behind a "
         "proxy the "
         "address is the one that --trusted-proxy names; a trusted proxy's own connections are not counted.",
         RELOADS, count_field(&O::max_connections_per_address, uint64_t{0}, uint64_t{10'000'000})},
        {"max-handshakes-per-address", "N", bounds,
         "Refuse more handshakes, event streams and polls than this a second of one address with 429, when "
         "it has used up those of 5 seconds; 0: do not count.",
         RELOADS, count_field(&O::max_handshakes_per_address, uint64_t{0}, uint64_t{1'000'000})},
        {"max-handshakes", "N", bounds,
         "Refuse more handshakes, event streams and polls than this a second, of all addresses together, "
         "with "
         "503 and Retry-After, when those of 5 seconds are used up; 0: do not count.",
         RELOADS, count_field(&O::max_handshakes, uint64_t{0}, uint64_t{1'000'000})},
        {"max-memory", "BYTES", bounds,
         "When the process has more memory than this, refuse new connections with 503, and close those with "
         "1013 that "
         "hold the most; 0: do not look. History (--history-bytes for each database) is part of it.",
         RELOADS, bytes_field(&O::max_memory, 0, 1024 * GIB)},
        {"max-receive-rate", "BYTES", bounds,
         "Close with 1013 a client that sends more than this a second for 10 seconds, pings and all, beyond "
         "a message of "
         "--max-message-bytes.",
         RELOADS, bytes_field(&O::max_receive_rate, 128, 1 * GIB)},
        {"message-timeout", "SECONDS", bounds,
         "Close with 1013 a client that has not finished a message after this time.", RELOADS,
         seconds_field(&O::message_timeout, 0.1, 86'400)},
        {"max-channels", "N", bounds, "Refuse a subscription that names more channels.", RELOADS,
         count_field(&O::max_channels, uint64_t{1}, uint64_t{100'000})},
        {"max-head-bytes", "BYTES", bounds, "Refuse larger request heads, cookies and all, with 431.",
         RELOADS, bytes_field(&O::max_head_bytes, 1 * KIB, 1 * MIB)},
        {"head-timeout", "SECONDS", bounds,
         "Refuse a request whose head has not come after this time with 408.", RELOADS,
         seconds_field(&O::head_timeout, 0.1, 3'600)},
        {"max-queue-bytes", "BYTES", bounds,
         "Close a client with 1013 that falls further behind than this; it comes back and resumes.",
         NEEDS_RESTART, bytes_field(&O::max_queue_bytes, 1 * KIB, 1 * GIB)},
        {"max-queue-seconds", "SECONDS", bounds, "The same, in time.", NEEDS_RESTART,
         seconds_field(&O::max_queue_seconds, 0.1, 3'600)},

        {"log-level", "LEVEL", logging, "Log this and what is more serious.", RELOADS,
         level_field(&O::log_level)},
        {"log-format", "FORMAT", logging, "One line for each event, as text or as a JSON object.", RELOADS,
         format_field(&O::log_format)},
    };
}

} // namespace

std::string OptionDefinition::environment_name() const {
    std::string upper = "ODOO_BUS_" + name;
    std::transform(upper.begin(), upper.end(), upper.begin(),
                   [](unsigned char c) { return c == '-' ? '_' : static_cast<char>(std::toupper(c)); });
    return upper;
}

const std::vector<OptionDefinition>& option_table() {
    static const std::vector<OptionDefinition> table = build_table();
    return table;
}

const std::vector<CommandDefinition>& command_table() {
    static const std::vector<CommandDefinition> table = {
        {"config", "FILE", "Read options from this file; environment variable ODOO_BUS_CONFIG."},
        {"check-config", "", "Check the configuration, say what is wrong with it, and exit."},
        {"print-config", "", "Print a configuration file with every option and its default, and exit."},
        {"version", "", "Print the version, and exit."},
        {"help", "", "Print this help, and exit.", 'h'},
        // For what is generated from the sources.
        {"print-options-markdown", "", ""},
        {"print-metrics-markdown", "", ""},
        {"print-man", "", ""},
    };
    return table;
}

const std::vector<Syntax>& command_line_syntax() {
    static const std::vector<Syntax> syntax = [] {
        std::vector<Syntax> all = syntax_of(command_table());
        for (const OptionDefinition& definition : option_table())
            all.push_back({definition.name,
                           definition.field.is_switch ? Syntax::Value::optional : Syntax::Value::required});
        return all;
    }();
    return syntax;
}

} // namespace odoo_bus
