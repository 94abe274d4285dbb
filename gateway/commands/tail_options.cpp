// The command line of `odoo-bus-gateway tail`.
#include "commands/tail_options.h"

#include <algorithm>
#include <charconv>

#include <CLI/CLI.hpp>
#include <spdlog/fmt/fmt.h>

#include "base/utf8.h"

namespace odoo_bus {

namespace {

constexpr const char* FOOTER = R"(
Each notification is one line on standard output: when it came, its id, how long it took, its type, its payload.
How long it took is known when the payload is an object with the key sent_at: seconds since 1970 as a number, or a
time as ISO 8601 writes it (UTC unless it has a zone). In SQL, and measured from the statement:

  SELECT bus_sendone('orders', 'new', jsonb_build_object('sent_at', clock_timestamp()));

A lost connection is opened again, after a while that grows from 0.1 to 5 seconds, and goes on after the last
notification that was printed. Without --last it begins with those of the last 50 seconds, as a new page does.

Exit code: 0 after --count notifications or Ctrl-C, 1 when the server refuses for good or the output cannot be
written, 2 when this command line is wrong.

  odoo-bus-gateway tail ws://127.0.0.1:8073/websocket orders
  odoo-bus-gateway tail --json --count 10 wss://odoo.example.com --cookie session_id=... | jq .message
)";

constexpr char UNTOUCHED = '\x1f';

bool has_control_character(std::string_view text) {
    return std::any_of(text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

} // namespace

bool parse_url(const std::string& url, TailOptions& options, std::string& error) {
    error =
        fmt::format("URL: \"{}\" is not a WebSocket's address; give ws://host:port/websocket, wss://host, or "
                    "ws+unix:/path/of/socket",
                    log::printable(url));
    std::string_view left = url;
    const auto take = [&left](std::string_view prefix) {
        const bool begins = left.starts_with(prefix);
        left.remove_prefix(begins ? prefix.size() : 0);
        return begins;
    };
    options.url = url;
    options.target = "/websocket";
    if (has_control_character(url) || url.find_first_of(" #") != url.npos)
        return false;
    if (take("ws+unix:")) {
        if (left.starts_with("//"))
            left.remove_prefix(2);
        options.address = "+" + std::string(left);
        options.host = "localhost";
        return left.size() > 1 && left[0] == '/';
    }
    options.tls = take("wss://");
    if (!options.tls && !take("ws://"))
        return false;
    const size_t slash = left.find_first_of("/?");
    if (slash != left.npos && left.substr(slash) != "/")
        options.target = (left[slash] == '?' ? "/websocket" : "") + std::string(left.substr(slash));
    left = left.substr(0, slash);
    options.host = left;
    options.port = options.tls ? 443 : 80;
    const size_t bracket = left.rfind(']');
    const size_t colon = left.find(':', bracket == left.npos ? 0 : bracket);
    if (colon != left.npos) {
        const std::string_view port = left.substr(colon + 1);
        const auto [end, failure] = std::from_chars(port.data(), port.data() + port.size(), options.port);
        if (failure != std::errc() || end != port.data() + port.size() || options.port < 1 ||
            options.port > 65535)
            return false;
        left = left.substr(0, colon);
    }
    if (left.starts_with('[') && left.ends_with(']'))
        left = left.substr(1, left.size() - 2);
    options.address = left;
    return !left.empty() && left.find('@') == left.npos;
}

std::variant<TailOptions, OptionsText, OptionsError> parse_tail_options(std::vector<std::string> arguments) {
    TailOptions options;
    std::string url;
    CLI::App app("Subscribe to channels and print each notification as it comes.", "odoo-bus-gateway tail");
    app.get_formatter()->column_width(28);
    app.add_option("URL", url, "ws://host:port/websocket, wss://host, or ws+unix:/path/of/socket")
        ->required()
        ->option_text(" ");
    app.add_option("CHANNEL", options.channels,
                   "Names of channels; without any, only what the server\nadds of its own")
        ->option_text("...");
    CLI::Option* count =
        app.add_option("-n,--count", options.count, "Exit after so many notifications")->type_name("N");
    app.add_flag("--json", options.json,
                 "Print JSON objects: id and message as they came,\n"
                 "received_at in seconds since 1970, latency_ms");
    app.add_option("--last", options.last, "Begin after the notification with this id")->type_name("ID");
    app.add_option("--cookie", options.cookie, "Send this header: session_id=...")->type_name("COOKIES");
    app.add_flag("--insecure", options.insecure, "With wss://: take any certificate");
    app.footer(FOOTER);
    std::string error;
    // CLI11 would take a channel's name in brackets apart.
    for (std::string& argument : arguments)
        if (argument.starts_with('[') && argument.ends_with(']'))
            argument += UNTOUCHED;
    try {
        std::reverse(arguments.begin(), arguments.end());
        app.parse(std::move(arguments));
    } catch (const CLI::CallForHelp&) {
        return OptionsText{app.help()};
    } catch (const CLI::ParseError& mistake) {
        return OptionsError{
            fmt::format("{}; see odoo-bus-gateway tail --help", log::printable(mistake.what()))};
    }
    for (std::string& channel : options.channels) {
        if (channel.ends_with(UNTOUCHED))
            channel.pop_back();
        if (!is_utf8(channel))
            return OptionsError{fmt::format("CHANNEL: \"{}\" is not UTF-8; set the terminal to UTF-8",
                                            log::printable(channel))};
    }
    if (!parse_url(url, options, error))
        return OptionsError{error};
    if (count->count() != 0 && options.count == 0)
        return OptionsError{"--count: 0 is not a number of notifications; give 1 or more"};
    if (options.last < 0)
        return OptionsError{"--last: this is not the id of a notification; give 0 or more"};
    if (has_control_character(options.cookie))
        return OptionsError{
            "--cookie: the value holds a control character; give it as name=value; name=value"};
    return options;
}

} // namespace odoo_bus
