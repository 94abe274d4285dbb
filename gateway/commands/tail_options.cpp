// The command line of `odoo-bus-gateway tail`.
#include "commands/tail_options.h"

#include <algorithm>

#include <spdlog/fmt/fmt.h>

#include "base/utf8.h"
#include "config/options_text.h"

namespace odoo_bus {

namespace {

constexpr const char* HELP = "odoo-bus-gateway tail --help";
constexpr uint64_t MOST_NOTIFICATIONS = 1'000'000'000'000;
constexpr int64_t LAST_ID = 9'007'199'254'740'991; // Number.MAX_SAFE_INTEGER of JavaScript

bool has_control_character(std::string_view text) {
    return std::any_of(text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

} // namespace

const std::vector<CommandDefinition>& tail_table() {
    static const std::vector<CommandDefinition> table = {
        {"count", "N", "Exit after this number of notifications.", 'n'},
        {"json", "",
         "Print JSON objects: id and message as they were received, received_at in seconds since 1970, and "
         "latency_ms."},
        {"last", "ID", "Begin after the notification with this id. Default 0: the last 50 seconds."},
        {"cookie", "COOKIES", "Send this Cookie header, like session_id=..."},
        {"insecure", "", "With wss://: accept any certificate."},
        {"help", "", "Print this help, and exit.", 'h'},
    };
    return table;
}

const char* const TAIL_NOTES =
    R"(URL is ws://host:port/websocket, wss://host, or ws+unix:/path/of/socket. Without a CHANNEL, only what the
server adds by itself is received.

Each notification is one line on standard output: time of arrival, id, latency, type, payload. The latency is
known when the payload is an object with the key sent_at: seconds since 1970 as a number, or a time in ISO 8601
(UTC unless it has a zone). To measure it from the statement in SQL:

  SELECT bus_sendone('orders', 'new', jsonb_build_object('sent_at', clock_timestamp()));

After a lost connection tail reconnects, with a delay that grows from 0.1 to 5 seconds, and resumes after the
last notification that it has printed. Without --last it begins with those of the last 50 seconds, as a new page
does.

Exit code: 0 after --count notifications or Ctrl-C, 1 if the server refuses for good or the output cannot be
written, 2 if this command line is wrong.

  odoo-bus-gateway tail ws://127.0.0.1:8073/websocket orders
  odoo-bus-gateway tail --json --count 10 wss://odoo.example.com --cookie session_id=... | jq .message
)";

std::variant<TailOptions, OptionsText, OptionsError>
parse_tail_options(const std::vector<std::string>& arguments) {
    TailOptions options;
    std::string wrong;
    const auto given = split_arguments(arguments, syntax_of(tail_table()), HELP, wrong);
    if (!given)
        return OptionsError{wrong};
    for (const auto& [name, value] : given->options) {
        if (name == "help")
            return OptionsText{"Usage: odoo-bus-gateway tail [OPTION...] URL CHANNEL...\n\n" +
                               definitions_text(tail_table()) + "\n" + TAIL_NOTES};
        if (name == "count")
            wrong = read_number<uint64_t>(value, 1, MOST_NOTIFICATIONS, options.count);
        else if (name == "last")
            wrong = read_number<int64_t>(value, 0, LAST_ID, options.last);
        else if (name == "cookie" && has_control_character(options.cookie = value))
            wrong = "the value holds a control character; give it as name=value; name=value";
        else if (name == "json")
            options.json = true;
        else if (name == "insecure")
            options.insecure = true;
        if (!wrong.empty())
            return OptionsError{fmt::format("--{}: {}", name, wrong)};
    }
    const std::vector<std::string>& words = given->words;
    if (words.empty())
        return OptionsError{fmt::format("URL: none is given; see {}", HELP)};
    options.channels.assign(words.begin() + 1, words.end());
    for (const std::string& channel : options.channels)
        if (!is_utf8(channel))
            return OptionsError{fmt::format("CHANNEL: \"{}\" is not UTF-8; set the terminal to UTF-8",
                                            log::printable(channel))};
    options.url = words.front();
    const auto endpoint = options.url.starts_with("ws") ? Endpoint::of_url(options.url) : std::nullopt;
    if (!endpoint)
        return OptionsError{fmt::format("URL: \"{}\" is not the address of a WebSocket; give "
                                        "ws://host:port/websocket, wss://host, or ws+unix:/path/of/socket",
                                        log::printable(options.url))};
    options.endpoint = *endpoint;
    return options;
}

} // namespace odoo_bus
