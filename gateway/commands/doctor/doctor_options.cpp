// The command line of doctor.
#include "commands/doctor/doctor_options.h"

#include <algorithm>

#include <spdlog/fmt/fmt.h>

#include "base/log.h"
#include "config/options_text.h"

namespace odoo_bus::doctor {

namespace {

// True when the text can stand in a header, or within quotes, as it is.
bool is_plain(std::string_view text, std::string_view but) {
    return !text.empty() && std::ranges::none_of(text, [&](char c) {
        const auto byte = static_cast<unsigned char>(c);
        return byte < ' ' || byte == 0x7f || but.find(c) != but.npos;
    });
}

// Empty, or what is wrong with the value.
std::string take(DoctorOptions& options, std::string_view name, const std::string& value,
                 std::string& address) {
    std::string problem;
    if (name == "json") {
        options.json = true;
    } else if (name == "send") {
        options.send = true;
    } else if (name == "wait") {
        options.wait = true;
    } else if (name == "url") {
        options.proxy = Endpoint::of_url(value.substr(0, value.find('#')));
        if (options.proxy)
            options.proxy->target = "/websocket";
        else
            problem = fmt::format("\"{}\" is not a URL like https://odoo.example.com", log::printable(value));
    } else if (name == "address") {
        address = value;
    } else if (name == "channel") {
        options.channel = value;
        if (!is_plain(value, "'\"\\"))
            problem =
                fmt::format("\"{}\" is not the name of a channel without quotes", log::printable(value));
    } else if (name == "cookie" || name == "token") {
        (name == "cookie" ? options.cookie : options.token) = value;
        if (!is_plain(value, ""))
            problem = "it holds a control character, which no header can carry"; // never print a secret
    } else if (name == "gevent-port") {
        problem = read_number<uint16_t>(value, 0, 65535, options.gevent_port);
    } else if (name == "long-transaction") {
        int64_t seconds = 0;
        problem = read_number<int64_t>(value, 1, 604'800, seconds);
        options.long_transaction = std::chrono::seconds(seconds);
    }
    return problem;
}

} // namespace

std::string DoctorOptions::identity() const {
    std::string lines;
    if (!token.empty())
        lines += fmt::format("Authorization: Bearer {}\r\n", token);
    if (!cookie.empty())
        lines += fmt::format("Cookie: {}\r\n", cookie);
    return lines;
}

const std::vector<CommandDefinition>& doctor_table() {
    static const std::vector<CommandDefinition> table = {
        {"url", "URL",
         "URL that browsers open, like https://odoo.example.com: also check the reverse proxy."},
        {"address", "ADDR", "Address to connect to instead of the address of the URL's host."},
        {"send", "",
         "Send one notification with bus_sendone(), and print how long each leg of its way took. All other "
         "checks change nothing."},
        {"channel", "NAME",
         "Channel of --send, and of the event stream that --url is tested with. Default odoo_bus_doctor, "
         "which --auth odoo and open grant to every client."},
        {"token", "TOKEN",
         "With --auth token: token with which the notification of --send, and the event stream, are "
         "received; it must grant the channel."},
        {"cookie", "COOKIES",
         "With --auth sql: cookies with which the notification of --send, and the event stream, are "
         "received, like \"sid=...\"."},
        {"wait", "",
         "Wait for a ping on a silent WebSocket (--ping-interval), to see whether the proxy keeps it open."},
        {"gevent-port", "PORT",
         "Port of Odoo's own bus server (gevent), on the host of --odoo-url; 0: do not check. Default 8072."},
        {"long-transaction", "SECONDS",
         "Warn of a transaction that is open for longer than this. Default 300."},
        {"json", "", "Print one JSON object."},
    };
    return table;
}

std::string doctor_help() {
    return "odoo-bus-gateway doctor: finds what is wrong, and says how to fix it\n\n"
           "Usage: odoo-bus-gateway doctor [--config FILE] [--url URL] [OPTION...]\n\n"
           "It takes the gateway's own options (see odoo-bus-gateway --help), best its --config, and should "
           "run\nas the gateway's user. It prints a line for each check: ok, warning or failed, the check, "
           "what was\nfound, and what to do. Exit code 0: all are ok; 1: there are warnings; 2: a check "
           "failed.\n\n" +
           definitions_text(doctor_table());
}

std::variant<DoctorOptions, OptionsText, OptionsError>
parse_doctor_options(const std::vector<std::string>& arguments, bool& json) {
    json = std::ranges::find(arguments, "--json") != arguments.end();
    std::vector<Syntax> syntax = syntax_of(doctor_table());
    const std::vector<Syntax>& of_gateway = command_line_syntax();
    syntax.insert(syntax.end(), of_gateway.begin(), of_gateway.end());
    std::string address, problem;
    const auto given = split_arguments(arguments, syntax, "odoo-bus-gateway doctor --help", problem);
    if (!given)
        return OptionsError{problem};
    DoctorOptions options;
    std::vector<std::string> rest = given->words;
    for (const auto& [name, value] : given->options) {
        if (name == "help")
            return OptionsText{doctor_help()};
        if (std::ranges::find(doctor_table(), name, &CommandDefinition::name) == doctor_table().end()) {
            rest.push_back("--" + name);
            const auto takes = std::ranges::find(of_gateway, name, &Syntax::name)->value;
            if (takes == Syntax::Value::required)
                rest.push_back(value);
            else if (takes == Syntax::Value::optional)
                rest.back() += "=" + value;
        } else if (const std::string wrong = take(options, name, value, address); !wrong.empty()) {
            return OptionsError{fmt::format("--{}: {}", name, wrong)};
        }
    }
    if (!address.empty()) {
        if (!options.proxy)
            return OptionsError{"--address: it needs a --url; give both"};
        options.proxy->address = address;
    }
    const Parsed parsed = parse_options(rest);
    if (const auto* error = std::get_if<OptionsError>(&parsed))
        return *error;
    if (const auto* text = std::get_if<OptionsText>(&parsed))
        return *text;
    options.gateway = std::get<Options>(parsed);
    return options;
}

} // namespace odoo_bus::doctor
