// Values of options as text.
#include "config/option_values.h"

#include <arpa/inet.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <locale>
#include <optional>
#include <sstream>

#include <spdlog/fmt/fmt.h>

#include "config/connection_string.h"
#include "config/database_pattern.h"
#include "config/worker_version_value.h"
#include "http/origin.h"

namespace odoo_bus {

namespace {

constexpr std::pair<std::string_view, uint64_t> UNITS[] = {{"TiB", uint64_t{1} << 40},
                                                           {"GiB", uint64_t{1} << 30},
                                                           {"MiB", uint64_t{1} << 20},
                                                           {"KiB", uint64_t{1} << 10}};

template <class Number>
std::optional<Number> parse_number(std::string_view text) {
    Number number{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end != text.data() + text.size())
        return std::nullopt;
    return number;
}

#ifndef __cpp_lib_to_chars
// The standard library of GCC 10 parses only integers.
template <>
std::optional<double> parse_number<double>(std::string_view text) {
    if (text.find_first_not_of("0123456789.eE-") != text.npos)
        return std::nullopt;
    std::istringstream stream{std::string(text)};
    stream.imbue(std::locale::classic());
    double number = 0;
    if (!(stream >> number) || stream.peek() != std::istringstream::traits_type::eof())
        return std::nullopt;
    return number;
}
#endif

std::optional<uint64_t> parse_bytes(std::string_view text) {
    uint64_t unit = 1;
    for (const auto& [suffix, size] : UNITS)
        if (text.ends_with(suffix)) {
            text.remove_suffix(suffix.size());
            unit = size;
            break;
        }
    const auto number = parse_number<uint64_t>(text);
    if (!number || *number > UINT64_MAX / unit)
        return std::nullopt;
    return *number * unit;
}

std::string text_of_bytes(uint64_t bytes) {
    for (const auto& [suffix, size] : UNITS)
        if (bytes != 0 && bytes % size == 0)
            return fmt::format("{}{}", bytes / size, suffix);
    return std::to_string(bytes);
}

std::string text_of_seconds(double seconds) {
    return fmt::format("{}", seconds);
}

std::optional<Listener> parse_listener(const std::string& text) {
    Listener listener;
    if (text.starts_with("unix:")) {
        listener.path = text.substr(5);
        const bool fits = listener.path.size() < sizeof(sockaddr_un{}.sun_path);
        return listener.path.starts_with('/') && fits ? std::optional(listener) : std::nullopt;
    }
    const size_t colon = text.rfind(':');
    if (colon == text.npos)
        return std::nullopt;
    listener.address = text.substr(0, colon);
    const bool is_v6 = listener.address.starts_with('[') && listener.address.ends_with(']');
    if (is_v6)
        listener.address = listener.address.substr(1, listener.address.size() - 2);
    std::array<char, sizeof(in6_addr)> binary;
    const auto port = parse_number<uint16_t>(std::string_view(text).substr(colon + 1));
    if (!port || inet_pton(is_v6 ? AF_INET6 : AF_INET, listener.address.c_str(), binary.data()) != 1)
        return std::nullopt;
    listener.port = *port;
    return listener;
}

// A field of one value: `parse` gives an optional, `text` its inverse.
template <class Value, class Parse, class Text>
Field single(Value Options::*member, std::string range, std::string wrong, Parse parse, Text text) {
    Field field;
    field.range = std::move(range);
    field.set = [=](Options& options, const std::vector<std::string>& values) -> std::string {
        const auto value = parse(values.front());
        if (!value)
            return wrong;
        options.*member = static_cast<Value>(*value);
        return {};
    };
    field.get = [=](const Options& options) { return std::vector<std::string>{text(options.*member)}; };
    return field;
}

template <class Value>
Field choice(Value Options::*member, std::vector<std::pair<std::string_view, Value>> choices) {
    std::string names;
    for (const auto& [name, value] : choices)
        names += (names.empty() ? "" : ", ") + std::string(name);
    const auto parse = [choices](const std::string& text) -> std::optional<Value> {
        for (const auto& [name, value] : choices)
            if (text == name)
                return value;
        return std::nullopt;
    };
    const auto text = [choices](Value wanted) {
        for (const auto& [name, value] : choices)
            if (value == wanted)
                return std::string(name);
        return std::string();
    };
    Field field = single(member, names, "is not one of the choices; give one of: " + names, parse, text);
    for (const auto& [name, value] : choices)
        field.choices.emplace_back(name);
    return field;
}

template <class Number>
Field count(Number Options::*member, Number least, Number most) {
    const std::string range = fmt::format("{} to {}", least, most);
    const auto parse = [=](const std::string& text) -> std::optional<Number> {
        const auto number = parse_number<Number>(text);
        return number && *number >= least && *number <= most ? number : std::nullopt;
    };
    return single(member, range, "is not a number in the range; give " + range, parse,
                  [](Number value) { return std::to_string(value); });
}

// A repeatable field of texts, of which there may be none: an empty one is none. `wrong` tells what is wrong
// with a text.
Field list(std::vector<std::string> Options::*member, std::function<std::string(const std::string&)> wrong) {
    Field field;
    field.is_repeatable = true;
    field.set = [=](Options& options, const std::vector<std::string>& values) -> std::string {
        std::vector<std::string> texts;
        for (const std::string& text : values) {
            if (text.empty())
                continue;
            if (std::string problem = wrong(text); !problem.empty())
                return fmt::format("\"{}\" {}", log::printable(text), problem);
            texts.push_back(text);
        }
        options.*member = std::move(texts);
        return {};
    };
    field.get = [=](const Options& options) {
        return (options.*member).empty() ? std::vector<std::string>{""} : options.*member;
    };
    return field;
}

bool is_printable(const std::string& text) {
    return std::ranges::all_of(text, [](char c) { return c > ' ' && c < 0x7f; });
}

} // namespace

Field seconds_field(Milliseconds Options::*member, double least, double most) {
    const std::string range = text_of_seconds(least) + " to " + text_of_seconds(most);
    const auto parse = [=](const std::string& text) -> std::optional<Milliseconds> {
        const auto number = parse_number<double>(text);
        if (!number || !(*number >= least && *number <= most))
            return std::nullopt;
        return Milliseconds(std::llround(*number * 1000));
    };
    return single(member, range, "is not a number of seconds; give " + range, parse, [](Milliseconds value) {
        return text_of_seconds(static_cast<double>(value.count()) / 1000);
    });
}

Field bytes_field(uint64_t Options::*member, uint64_t least, uint64_t most) {
    const std::string range = text_of_bytes(least) + " to " + text_of_bytes(most);
    const auto parse = [=](const std::string& text) -> std::optional<uint64_t> {
        const auto bytes = parse_bytes(text);
        return bytes && *bytes >= least && *bytes <= most ? bytes : std::nullopt;
    };
    return single(member, range,
                  "is not a size; give " + range + ", as bytes or with KiB, MiB or GiB behind the number",
                  parse, text_of_bytes);
}

Field count_field(uint64_t Options::*member, uint64_t least, uint64_t most) {
    return count(member, least, most);
}

Field count_field(unsigned Options::*member, unsigned least, unsigned most) {
    return count(member, least, most);
}

Field rate_field(double Options::*member, double least, double most) {
    const std::string range = text_of_seconds(least) + " to " + text_of_seconds(most);
    const auto parse = [=](const std::string& text) -> std::optional<double> {
        const auto number = parse_number<double>(text);
        return number && *number >= least && *number <= most ? number : std::nullopt;
    };
    return single(member, range, "is not a number in the range; give " + range, parse, text_of_seconds);
}

Field threads_field(unsigned Options::*member, unsigned most) {
    const std::string range = fmt::format("auto, or 1 to {}", most);
    const auto parse = [=](const std::string& text) -> std::optional<unsigned> {
        if (text == "auto")
            return 0;
        const auto number = parse_number<unsigned>(text);
        return number && *number >= 1 && *number <= most ? number : std::nullopt;
    };
    return single(member, range, "is not a number of threads; give " + range, parse,
                  [](unsigned value) { return value == 0 ? "auto" : std::to_string(value); });
}

Field switch_field(bool Options::*member) {
    Field field = choice<bool>(
        member,
        {{"true", true}, {"false", false}, {"yes", true}, {"no", false}, {"on", true}, {"off", false}});
    field.range = "true, false";
    field.is_switch = true;
    return field;
}

Field path_field(std::string Options::*member) {
    const auto parse = [](const std::string& text) {
        return text.empty() || text.starts_with('/') ? std::optional(text) : std::nullopt;
    };
    return single(member, "", "is not an absolute path; begin it with /", parse,
                  [](const std::string& value) { return value; });
}

Field text_field(std::string Options::*member) {
    Field field;
    field.set = [=](Options& options, const std::vector<std::string>& values) -> std::string {
        if (!is_printable(values.front()))
            return "is not printable ASCII without spaces";
        options.*member = values.front();
        return {};
    };
    field.get = [=](const Options& options) { return std::vector<std::string>{options.*member}; };
    return field;
}

Field function_field(std::string Options::*member) {
    Field field = text_field(member);
    field.set = [=](Options& options, const std::vector<std::string>& values) -> std::string {
        const std::string& name = values.front();
        bool begins = true; // a part of the name
        size_t dots = 0;
        for (const char c : name) {
            const bool letter = (c >= 'a' && c <= 'z') || c == '_';
            if (c == '.' && !begins && ++dots == 1)
                begins = true;
            else if (!letter && (begins || !((c >= '0' && c <= '9') || c == '$')))
                return "is not the name of a function, like bus_authorize or app.bus_authorize, in lower "
                       "case";
            else
                begins = false;
        }
        if (begins && !name.empty())
            return "is not the name of a function, like bus_authorize or app.bus_authorize, in lower case";
        options.*member = name;
        return {};
    };
    return field;
}

Field texts_field(std::vector<std::string> Options::*member) {
    return list(member, [](const std::string& text) {
        return is_printable(text) ? "" : "is not printable ASCII without spaces";
    });
}

Field hosts_field(std::vector<std::string> Options::*member) {
    return list(member, [](const std::string& text) {
        const bool is_name = std::ranges::all_of(text, [](char c) {
            return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                   c == '.' || c == '_';
        });
        return is_name ? "" : "is not the name of a host; give it without a port, like bus1.example.com";
    });
}

Field passes_field(std::vector<std::string> Options::*member) {
    return list(member, [](const std::string& text) {
        static constexpr std::string_view HEADERS[] = {"authorization", "user-agent", "accept-language",
                                                       "host"};
        const bool is_cookie = text.starts_with("cookie:") && text.size() > 7;
        return is_cookie || std::ranges::find(HEADERS, text) != std::end(HEADERS)
                   ? ""
                   : "is neither cookie:NAME nor authorization, user-agent, accept-language or host";
    });
}

Field patterns_field(std::vector<std::string> Options::*member) {
    return list(member, [](const std::string& text) {
        return text.find('*') < text.size() - 1 ? "is not a name or a prefix and *; give * only at the end"
                                                : "";
    });
}

Field listeners_field(std::vector<Listener> Options::*member, bool may_be_none) {
    Field field;
    field.is_repeatable = true;
    field.set = [=](Options& options, const std::vector<std::string>& values) -> std::string {
        std::vector<Listener> listeners;
        for (const std::string& text : values) {
            if (text.empty() && may_be_none)
                continue;
            const auto listener = parse_listener(text);
            if (!listener)
                return fmt::format(
                    "\"{}\" is not an address to listen on; give a numeric address and a port like "
                    "127.0.0.1:8073 or [::1]:8073, or unix:/path of at most {} bytes",
                    log::printable(text), sizeof(sockaddr_un{}.sun_path) - 1);
            if (std::find(listeners.begin(), listeners.end(), *listener) != listeners.end() &&
                (listener->is_unix() || listener->port != 0))
                return fmt::format("\"{}\" is given twice; give each address once", listener->text());
            listeners.push_back(*listener);
        }
        options.*member = std::move(listeners);
        return {};
    };
    field.get = [=](const Options& options) {
        std::vector<std::string> texts;
        for (const Listener& listener : options.*member)
            texts.push_back(listener.text());
        return texts.empty() ? std::vector<std::string>{""} : texts;
    };
    return field;
}

Field networks_field(std::vector<Network> Options::*member) {
    Field field;
    field.is_repeatable = true;
    field.set = [=](Options& options, const std::vector<std::string>& values) -> std::string {
        std::vector<Network> networks;
        for (const std::string& text : values) {
            const auto network = Network::parse(text);
            if (!network && !(text == "none" && values.size() == 1))
                return fmt::format("\"{}\" is not a network; give an address like 192.0.2.1, a network like "
                                   "192.0.2.0/24 whose host bits are zero, or none",
                                   log::printable(text));
            if (network)
                networks.push_back(*network);
        }
        options.*member = std::move(networks);
        return {};
    };
    field.get = [=](const Options& options) {
        std::vector<std::string> texts;
        for (const Network& network : options.*member)
            texts.push_back(network.text());
        return texts.empty() ? std::vector<std::string>{"none"} : texts;
    };
    return field;
}

Field origins_field(std::vector<std::string> Options::*member) {
    return list(member, [](const std::string& text) {
        return origin_host(text).empty() ? "is not an origin; give a scheme and a host, without a path, like "
                                           "https://shop.example.com"
                                         : "";
    });
}

Field origin_match_field(OriginMatch Options::*member) {
    return choice<OriginMatch>(member, {{"origin", OriginMatch::origin}, {"host", OriginMatch::host}});
}

Field databases_field(std::vector<std::string> Options::*member) {
    Field field;
    field.is_repeatable = true;
    field.is_secret = true;
    field.set = [=](Options& options, const std::vector<std::string>& values) -> std::string {
        for (const std::string& text : values)
            if (std::string problem = connection_string_problem(text); !problem.empty())
                return problem;
        options.*member = values;
        return {};
    };
    field.get = [=](const Options& options) { return options.*member; };
    return field;
}

Field match_field(std::string Options::*member) {
    Field field;
    field.set = [=](Options& options, const std::vector<std::string>& values) {
        std::string wrong;
        if (values.front().empty() || DatabasePattern::parse(values.front(), wrong))
            options.*member = values.front();
        return wrong;
    };
    field.get = [=](const Options& options) { return std::vector<std::string>{options.*member}; };
    return field;
}

Field hub_field(std::string Options::*member) {
    Field field;
    field.is_secret = true;
    field.set = [=](Options& options, const std::vector<std::string>& values) -> std::string {
        const std::string& text = values.front();
        const std::string problem = text.empty() || text == "none" ? "" : connection_string_problem(text);
        if (!problem.empty())
            return problem + ", or give none";
        options.*member = text;
        return {};
    };
    field.get = [=](const Options& options) { return std::vector<std::string>{options.*member}; };
    return field;
}

Field auth_field(Auth Options::*member) {
    return choice<Auth>(
        member, {{"odoo", Auth::odoo}, {"token", Auth::token}, {"sql", Auth::sql}, {"open", Auth::open}});
}

Field relay_field(Switch Options::*member) {
    return choice<Switch>(member, {{"auto", Switch::automatic}, {"on", Switch::on}, {"off", Switch::off}});
}

Field standby_field(Standby Options::*member) {
    return choice<Standby>(member, {{"wait", Standby::wait}, {"refuse", Standby::refuse}});
}

Field worker_version_field(std::string Options::*member) {
    const auto parse = [](const std::string& text) {
        return is_worker_version(text) ? std::optional(text) : std::nullopt;
    };
    return single(member, "", "is not a version like 19.0-2, auto or off", parse,
                  [](const std::string& value) { return value; });
}

Field odoo_url_field(OdooUrl Options::*member) {
    Field field;
    field.set = [=](Options& options, const std::vector<std::string>& values) {
        std::string wrong;
        if (const auto url = OdooUrl::parse(values.front(), wrong))
            options.*member = *url;
        return wrong;
    };
    field.get = [=](const Options& options) { return std::vector<std::string>{(options.*member).text()}; };
    return field;
}

Field odoo_websocket_field(std::optional<OdooUrl> Options::*member) {
    Field field;
    field.set = [=](Options& options, const std::vector<std::string>& values) {
        std::string wrong;
        if (const std::string& text = values.front(); text.empty())
            options.*member = std::nullopt;
        else if (const auto url = OdooUrl::parse_websocket(text, wrong))
            options.*member = *url;
        return wrong;
    };
    field.get = [=](const Options& options) {
        return std::vector<std::string>{options.*member ? (options.*member)->text("ws") : ""};
    };
    return field;
}

Field level_field(log::Level Options::*member) {
    return choice<log::Level>(member, {{"debug", log::Level::debug},
                                       {"info", log::Level::info},
                                       {"warning", log::Level::warning},
                                       {"error", log::Level::error}});
}

Field format_field(log::Format Options::*member) {
    return choice<log::Format>(member, {{"text", log::Format::text}, {"json", log::Format::json}});
}

} // namespace odoo_bus
