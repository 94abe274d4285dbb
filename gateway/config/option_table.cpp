// Every option, described once. The defaults are in options.h.
#include "config/option_table.h"

#include <cctype>

namespace odoo_bus {

namespace {

constexpr uint64_t KIB = uint64_t{1} << 10;
constexpr uint64_t MIB = uint64_t{1} << 20;
constexpr uint64_t GIB = uint64_t{1} << 30;
constexpr bool RELOADS = true;
constexpr bool NEEDS_RESTART = false;
constexpr bool ADVANCED = true;

std::vector<OptionDefinition> build_table() {
    using O = Options;
    const char* const connect = "Addresses and databases";
    const char* const odoo = "Odoo (with --auth odoo)";
    const char* const token = "Tokens (with --auth token)";
    const char* const sql = "Function in SQL (with --auth sql)";
    const char* const presence = "Presence (with --auth token or sql)";
    const char* const history = "History";
    const char* const clients = "Clients (defaults as Odoo's)";
    const char* const limits = "Limits";
    const char* const logging = "Log";
    return {
        {"listen", "ADDR:PORT|unix:PATH", connect,
         "Numeric address and port, or path of a Unix socket, to listen on; [::1]:8073 for IPv6. Port 0 "
         "takes any free port, which the log names. May be repeated.",
         NEEDS_RESTART, listeners_field(&O::listen)},
        {"database", "CONNINFO", connect,
         "Database whose notifications are served: a libpq connection string or URI. Channels carry the "
         "database's own name. Other users of the machine see the command line: put a password into the "
         "configuration file, or name it by passfile= or service=. May be repeated; at least one is "
         "required.",
         NEEDS_RESTART, databases_field(&O::databases)},
        {"database-match", "REGEX", connect,
         "Serve all databases of the --database server whose names this regular expression matches from the "
         "beginning, as Odoo's dbfilter does, instead of the database that --database names. Databases are "
         "found while the gateway runs, and forgotten when they are dropped or renamed. Empty: serve the "
         "named databases.",
         NEEDS_RESTART, match_field(&O::database_match)},
        {"max-databases", "N", connect,
         "Maximum number of databases that are served because of --database-match.", NEEDS_RESTART,
         count_field(&O::max_databases, 1u, 1'000u), ADVANCED},
        {"hub-database", "CONNINFO|none", connect,
         "Hub database, in which Odoo notifies. Empty: the database `postgres` of the first --database "
         "server. `none`: no hub, so that only notifications sent from SQL arrive at once.",
         NEEDS_RESTART, hub_field(&O::hub_database)},
        {"relay", "WHEN", connect,
         "Relay notifications of an Odoo database to the hub database, so that Odoo's own servers receive "
         "what was sent from SQL; of several gateways one relays. `auto`: unless odoo_bus is preloaded there "
         "and relays by itself.",
         NEEDS_RESTART, relay_field(&O::relay), ADVANCED},
        {"standby", "wait|refuse", connect,
         "What to do if the server is a standby. `wait`: log it, and start when the standby is promoted. "
         "`refuse`: exit with code 1 if it is one at startup.",
         NEEDS_RESTART, standby_field(&O::standby), ADVANCED},
        {"auth", "MODE", connect,
         "Authorization of subscriptions. `odoo`: Odoo is asked, and decides as its own bus server does. "
         "`token`: a signed token (JWT) lists the channels. `sql`: a function in the database decides. "
         "`open`, for development: every client may subscribe to every channel whose name is a string.",
         NEEDS_RESTART, auth_field(&O::auth)},
        {"allow-open", "", connect, "Allow --auth open to listen on addresses that other machines can reach.",
         NEEDS_RESTART, switch_field(&O::allow_open)},
        {"trusted-proxy", "NETWORK|none", connect,
         "Address or network of a reverse proxy: the headers X-Forwarded-For, -Host, -Proto and -Port of its "
         "connections are trusted. Connections to a Unix socket are always trusted. May be repeated.",
         RELOADS, networks_field(&O::trusted_proxies)},
        {"allowed-origin", "ORIGIN", connect,
         "Origin, like https://shop.example.com, whose pages are served like those of the same host: with "
         "their cookies. May be repeated.",
         RELOADS, origins_field(&O::allowed_origins)},
        {"origin-match", "MODE", connect,
         "Comparison of a page's origin with the address that it requests. `origin`: the host, and the "
         "scheme "
         "and the port as far as a --trusted-proxy tells them (X-Forwarded-Proto, -Host, -Port). `host`: the "
         "host alone, for proxies that tell a wrong scheme or port.",
         RELOADS, origin_match_field(&O::origin_match), ADVANCED},
        {"metrics-listen", "ADDR:PORT|unix:PATH", connect,
         "Numeric address and port, or path of a Unix socket, to serve metrics on: /metrics for Prometheus, "
         "/ready for load balancers, the page /status, and all of it for `status` and `top`. Must not be "
         "public: metrics contain the names of databases, and /clients.json addresses of clients and names "
         "of "
         "channels. May be repeated.",
         NEEDS_RESTART, listeners_field(&O::metrics_listen, true)},
        {"metrics-host", "NAME", connect,
         "Name by which --metrics-listen may be requested, besides numeric addresses and localhost. Requests "
         "whose header Host has another name are refused with 421, so that no web page can read the metrics "
         "by a name of its own (DNS rebinding). May be repeated.",
         NEEDS_RESTART, hosts_field(&O::metrics_hosts)},
        {"metrics-token-file", "FILE", connect,
         "File with the token that GET /metrics and /clients.json require (Authorization: Bearer), which "
         "others "
         "than its owner must not be able to read. `status`, `top` and `doctor` send it. Empty: no token is "
         "required, and clients are told of only if no --metrics-listen is reached by other machines.",
         NEEDS_RESTART, path_field(&O::metrics_token_file)},
        {"drain-seconds", "SECONDS", connect,
         "Time in which a process drains before it exits, on SIGTERM or after a take-over (SIGUSR2): its "
         "clients are sent to another process, spread over this time (WebSockets are closed with 4002). 0: "
         "at "
         "once; SIGTERM then closes with 1001.",
         RELOADS, seconds_field(&O::drain_seconds, 0, 3'600)},
        {"take-over-timeout", "SECONDS", connect,
         "Time-out of a take-over (SIGUSR2): a new process that is not ready in time is terminated, and the "
         "old process continues.",
         RELOADS, seconds_field(&O::take_over_timeout, 0.1, 3'600), ADVANCED},
        {"threads", "auto|N", connect, "Number of threads that serve connections. `auto`: one for each CPU.",
         NEEDS_RESTART, threads_field(&O::threads, 256)},

        {"odoo-url", "URL", odoo,
         "URL of Odoo's own HTTP port (http_port): plain HTTP, and never the reverse proxy in front of the "
         "gateway.",
         NEEDS_RESTART, odoo_url_field(&O::odoo_url)},
        {"odoo-websocket", "URL", odoo,
         "URL of Odoo's own bus server (gevent_port), like ws://127.0.0.1:8072: clients that say what only "
         "it "
         "understands (IoT boxes, self-order kiosks, modules with events of their own) are connected to it. "
         "Empty: they are served without what they said.",
         NEEDS_RESTART, odoo_websocket_field(&O::odoo_websocket)},
        {"odoo-concurrency", "N", odoo, "Maximum number of concurrent requests to Odoo.", RELOADS,
         count_field(&O::odoo_concurrency, 1u, 1'000u)},
        {"odoo-timeout", "SECONDS", odoo,
         "Time-out of a request to Odoo. A request waits at most twice as long before it is sent; new "
         "clients that would have to wait longer are refused with 503.",
         RELOADS, seconds_field(&O::odoo_timeout, 0.1, 600)},
        {"grant-ttl", "SECONDS", odoo,
         "Lifetime of a grant for clients that come back: within it Odoo is not asked again. With "
         "--state-dir also after a restart.",
         RELOADS, seconds_field(&O::grant_ttl, 0, 3'600), ADVANCED},
        {"worker-version", "auto|off|VERSION", odoo,
         "Version of Odoo's bus worker: pages whose worker has another version are told to reload, as Odoo "
         "does (close code 1000, OUTDATED_VERSION). `auto`: the version that Odoo's login page names; while "
         "it names none, no page is told to reload.",
         RELOADS, worker_version_field(&O::worker_version), ADVANCED},
        {"odoo-data-dir", "DIR", odoo,
         "Odoo's data_dir, to watch the names of its session files (their content is never read), so that a "
         "logout takes effect at once. Recommended where the gateway can read it. Empty: do not watch.",
         NEEDS_RESTART, path_field(&O::odoo_data_dir)},
        {"recheck-interval", "SECONDS", odoo,
         "Interval of re-checks: after it Odoo is asked again whether a client that was sent something may "
         "still see its channels, and before a client that was sent nothing is sent something of its own.",
         RELOADS, seconds_field(&O::recheck_interval, 0.1, 86'400)},
        {"recheck-rate", "N", odoo, "Maximum number of re-checks per second, of all clients together.",
         RELOADS, rate_field(&O::recheck_rate, 0.01, 10'000), ADVANCED},
        {"max-unverified", "SECONDS", odoo,
         "Maximum time that a client stays connected unverified while Odoo cannot be asked; then it is "
         "closed with 1013.",
         RELOADS, seconds_field(&O::max_unverified, 1, 86'400)},

        {"token-keys", "FILE", token,
         "File with the keys that verify tokens (JWT: HS256, RS256, ES256): a JWKS, public keys in PEM, or a "
         "secret of 32 bytes or more. A file with a secret must not be readable by others than its owner. It "
         "is read again when it changes.",
         NEEDS_RESTART, path_field(&O::token_keys)},
        {"token-audience", "NAME", token,
         "Audience of tokens: only those whose `aud` contains it are accepted. Empty: only those without "
         "`aud`.",
         RELOADS, text_field(&O::token_audience)},
        {"token-issuer", "NAME", token,
         "Issuer of tokens: only those whose `iss` is this name are accepted. May be repeated. Empty: any "
         "issuer, or none.",
         RELOADS, texts_field(&O::token_issuers)},
        {"token-cookie", "NAME", token,
         "Cookie with the token of pages of the same host, if it is neither in Authorization nor among the "
         "WebSocket's subprotocols.",
         RELOADS, text_field(&O::token_cookie)},
        {"token-skew", "SECONDS", token, "Allowed clock skew.", RELOADS,
         seconds_field(&O::token_skew, 0, 3'600), ADVANCED},

        {"auth-sql-function", "NAME", sql,
         "Name of the function that authorizes: (request jsonb, channels text[]) returns text[], the stored "
         "channels that are granted; NULL closes the connection with 4001.",
         NEEDS_RESTART, function_field(&O::sql_function)},
        {"sql-pass", "cookie:NAME|HEADER", sql,
         "Pass this cookie (of pages of the same host) or this header to the function: authorization, "
         "user-agent, accept-language, host. May be repeated.",
         NEEDS_RESTART, passes_field(&O::sql_passes)},
        {"sql-connections", "N", sql, "Number of connections to each database that call the function.",
         NEEDS_RESTART, count_field(&O::sql_connections, 1u, 100u), ADVANCED},
        {"sql-timeout", "SECONDS", sql,
         "Time-out of a call of the function; then the connection is closed with 1013.", NEEDS_RESTART,
         seconds_field(&O::sql_timeout, 0.1, 60), ADVANCED},
        {"sql-cache", "SECONDS", sql,
         "Time for which a result of the function is cached for clients that come back.", NEEDS_RESTART,
         seconds_field(&O::sql_cache, 0, 3'600), ADVANCED},
        {"sql-grant", "SECONDS", sql,
         "Lifetime of a grant: then the function is called again, and channels that it no longer grants are "
         "revoked.",
         NEEDS_RESTART, seconds_field(&O::sql_grant, 0.1, 86'400), ADVANCED},

        {"presence", "CHANNEL|PREFIX*", presence,
         "Channel, or prefix of channels (`*`: all), whose presence is kept in the table bus_presence of the "
         "database, which SELECT bus_create_presence_table() creates. A member is the token's `sub`, or the "
         "column `member` of what --auth-sql-function returns. May be repeated; empty: none.",
         NEEDS_RESTART, patterns_field(&O::presence)},
        {"presence-notifications", "", presence,
         "Notify the channel when a member joins or leaves, with a notification of the type `presence`.",
         NEEDS_RESTART, switch_field(&O::presence_notifications)},
        {"presence-heartbeat", "SECONDS", presence,
         "Interval of this gateway's heartbeat in the database; the members of a gateway without a heartbeat "
         "in three intervals have left.",
         NEEDS_RESTART, seconds_field(&O::presence_heartbeat, 0.1, 3'600), ADVANCED},
        {"presence-grace", "SECONDS", presence,
         "Grace time before a member without a connection leaves, so that reloading a page is not seen as "
         "leaving.",
         NEEDS_RESTART, seconds_field(&O::presence_grace, 0, 3'600), ADVANCED},
        {"presence-rate", "N", presence,
         "Maximum number of presence rows written per second, in five transactions.", NEEDS_RESTART,
         count_field(&O::presence_rate, 5u, 100'000u), ADVANCED},
        {"presence-max-rows", "N", presence,
         "Maximum number of presence rows, one for each member of a channel; further members are served, but "
         "not shown as present.",
         NEEDS_RESTART, count_field(&O::presence_max_rows, uint64_t{1}, uint64_t{10'000'000}), ADVANCED},
        {"presence-max-members", "N", presence,
         "Maximum number of members of one channel that are shown as present.", NEEDS_RESTART,
         count_field(&O::presence_max_members, uint64_t{1}, uint64_t{1'000'000}), ADVANCED},

        {"state-dir", "DIR", history,
         "Directory in which the order of notifications is kept, so that clients resume where they were "
         "after a restart or crash of the gateway. Empty: it is not kept.",
         NEEDS_RESTART, path_field(&O::state_dir)},
        {"history-seconds", "SECONDS", history,
         "Maximum age of the history, from which clients that come back resume.", NEEDS_RESTART,
         seconds_field(&O::history_seconds, 1, 604'800)},
        {"history-bytes", "BYTES", history, "Maximum size of the history of each database.", NEEDS_RESTART,
         bytes_field(&O::history_bytes, 64 * KIB, 1024 * GIB)},

        {"max-message-bytes", "BYTES", clients,
         "Maximum size of a client's message; a larger one closes its connection with 1009.", RELOADS,
         bytes_field(&O::max_message_bytes, 128, 64 * MIB)},
        {"rate-limit-burst", "N", clients,
         "Burst of the rate limit: a client that sends more messages than this within N times "
         "--rate-limit-delay is closed with 1013.",
         RELOADS, count_field(&O::rate_limit_burst, 1u, 1'000'000u), ADVANCED},
        {"rate-limit-delay", "SECONDS", clients, "Delay of the rate limit, see --rate-limit-burst.", RELOADS,
         seconds_field(&O::rate_limit_delay, 0.001, 3'600), ADVANCED},
        {"ping-interval", "SECONDS", clients, "Interval of pings to a client that is silent.", RELOADS,
         seconds_field(&O::ping_interval, 0.1, 86'400)},
        {"pong-timeout", "SECONDS", clients,
         "Time-out of the pong that answers a ping; then the client is disconnected.", RELOADS,
         seconds_field(&O::pong_timeout, 0.1, 86'400), ADVANCED},
        {"keep-alive", "SECONDS", clients,
         "Maximum lifetime of a connection, to which a random 0 to 50 % is added; then it is closed with "
         "4002, and the client connects again.",
         RELOADS, seconds_field(&O::keep_alive, 0.1, 604'800), ADVANCED},
        {"heartbeat", "SECONDS", clients, "Interval of heartbeats on an event stream that is silent.",
         RELOADS, seconds_field(&O::heartbeat, 0.1, 3'600), ADVANCED},
        {"poll-hold", "SECONDS", clients,
         "Maximum time that a long poll is held without notifications; then it is answered with none.",
         RELOADS, seconds_field(&O::poll_hold, 0.1, 3'600), ADVANCED},

        {"max-connections", "N", limits, "Maximum number of connections; further ones are refused with 503.",
         RELOADS, count_field(&O::max_connections, uint64_t{1}, uint64_t{10'000'000})},
        {"max-connections-per-address", "N", limits,
         "Maximum number of connections per client address (IPv6: per /64); further ones are refused with "
         "429. 0: no limit. Behind a --trusted-proxy the address is the one that it forwards; its own "
         "connections are not counted.",
         RELOADS, count_field(&O::max_connections_per_address, uint64_t{0}, uint64_t{10'000'000})},
        {"max-handshakes-per-address", "N", limits,
         "Token bucket per client address, for handshakes, event streams and polls: N per second, burst of 5 "
         "s. Beyond it they are refused with 429. 0: no limit.",
         RELOADS, count_field(&O::max_handshakes_per_address, uint64_t{0}, uint64_t{1'000'000})},
        {"max-handshakes", "N", limits,
         "Token bucket of all addresses together, for handshakes, event streams and polls: N per second, "
         "burst of 5 s. Beyond it they are refused with 503 and Retry-After. 0: no limit.",
         RELOADS, count_field(&O::max_handshakes, uint64_t{0}, uint64_t{1'000'000}), ADVANCED},
        {"max-memory", "BYTES", limits,
         "Maximum memory of the process (PSS), the history (--history-bytes for each database) included. "
         "Near "
         "it, connections of the addresses that hold the most are closed with 1013, and the histories are "
         "shortened when they take more than two thirds; new connections are refused with 503 only when no "
         "address holds more than 64 KiB. 0: no limit.",
         RELOADS, bytes_field(&O::max_memory, 0, 1024 * GIB)},
        {"max-row-bytes", "BYTES", limits,
         "Maximum size of a notification in the table, its channel included; a larger one is left out, with "
         "a "
         "warning.",
         NEEDS_RESTART, bytes_field(&O::max_row_bytes, 1 * KIB, 256 * MIB)},
        {"max-receive-rate", "BYTES", limits,
         "Maximum number of bytes per second that a client may send for 10 seconds, control frames included, "
         "besides one message of --max-message-bytes; beyond it the client is closed with 1013.",
         RELOADS, bytes_field(&O::max_receive_rate, 128, 1 * GIB), ADVANCED},
        {"max-channels", "N", limits,
         "Maximum number of channels of a subscription; one with more is refused. Odoo's pages name one for "
         "each person that they show, so the bound that matters is --max-message-bytes.",
         RELOADS, count_field(&O::max_channels, uint64_t{1}, uint64_t{100'000})},
        {"max-head-bytes", "BYTES", limits,
         "Maximum size of a request head, cookies included; a larger one is refused with 431.", RELOADS,
         bytes_field(&O::max_head_bytes, 1 * KIB, 1 * MIB), ADVANCED},
        {"head-timeout", "SECONDS", limits,
         "Time-out of a request head, which is then refused with 408. A WebSocket message must be complete "
         "within three times as long, or its client is closed with 1013.",
         RELOADS, seconds_field(&O::head_timeout, 0.1, 3'600), ADVANCED},
        {"max-queue-bytes", "BYTES", limits,
         "Maximum size of a client's queue (its backlog); beyond it the client is closed with 1013, and "
         "resumes when it comes back.",
         NEEDS_RESTART, bytes_field(&O::max_queue_bytes, 1 * KIB, 1 * GIB)},
        {"max-queue-seconds", "SECONDS", limits, "Maximum age of a client's backlog, see --max-queue-bytes.",
         NEEDS_RESTART, seconds_field(&O::max_queue_seconds, 0.1, 3'600), ADVANCED},

        {"log-level", "LEVEL", logging, "Minimum level of log messages.", RELOADS,
         level_field(&O::log_level)},
        {"log-format", "FORMAT", logging, "Format of a line of the log: text, or a JSON object.", RELOADS,
         format_field(&O::log_format)},
    };
}

} // namespace

std::string environment_name(std::string_view option) {
    std::string upper = "ODOO_BUS_";
    for (const char c : option)
        upper += c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    return upper;
}

const std::vector<OptionDefinition>& option_table() {
    static const std::vector<OptionDefinition> table = build_table();
    return table;
}

const std::vector<CommandDefinition>& command_table() {
    static const std::vector<CommandDefinition> table = {
        {"config", "FILE", "Read options from this file; environment variable ODOO_BUS_CONFIG."},
        {"check-config", "", "Check the configuration, print what is wrong with it, and exit."},
        {"print-config", "", "Print a configuration file with every option and its default, and exit."},
        {"version", "", "Print the version, and exit."},
        {"help", "", "Print this help, and exit.", 'h'},
        {"help-all", "", "Print the help with the advanced options, and exit."},
        // For what is generated from the sources.
        {"print-options-markdown", "", ""},
        {"print-metrics-markdown", "", ""},
        {"print-man", "", ""},
        {"print-bash-completion", "", ""},
        {"print-zsh-completion", "", ""},
        {"print-fish-completion", "", ""},
    };
    return table;
}

std::vector<Section> option_sections(bool with_advanced) {
    std::vector<Section> sections;
    for (const bool advanced : {false, true})
        for (const OptionDefinition& definition : option_table()) {
            if (definition.advanced != advanced || (advanced && !with_advanced))
                continue;
            const std::string title = (advanced ? "Advanced: " : "") + definition.section;
            if (sections.empty() || sections.back().title != title)
                sections.push_back({title, {}});
            sections.back().options.push_back(&definition);
        }
    return sections;
}

const std::vector<RetiredOption>& retired_table() {
    static const std::vector<RetiredOption> table = {
        {"odoo-wait", "twice --odoo-timeout"},
        {"message-timeout", "three times --head-timeout"},
    };
    return table;
}

const std::vector<Syntax>& command_line_syntax() {
    static const std::vector<Syntax> syntax = [] {
        std::vector<Syntax> all = syntax_of(command_table());
        for (const OptionDefinition& definition : option_table())
            all.push_back({definition.name,
                           definition.field.is_switch ? Syntax::Value::optional : Syntax::Value::required});
        for (const RetiredOption& retired : retired_table())
            all.push_back({retired.name, Syntax::Value::required});
        return all;
    }();
    return syntax;
}

} // namespace odoo_bus
