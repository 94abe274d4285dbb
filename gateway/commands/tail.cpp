// The subcommand `tail`: a subscriber for the command line.
#include "commands/tail.h"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <memory>
#include <optional>
#include <string_view>

#include <poll.h>
#include <spdlog/fmt/chrono.h>
#include <spdlog/fmt/fmt.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/backoff.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "commands/tail_options.h"
#include "commands/websocket_client.h"
#include "http/cookie_jar.h"
#include "protocol/close_codes.h"
#include "protocol/received_frame.h"

namespace odoo_bus {

namespace {

// Servers ping sooner: a silent one is sent a ping, and is given up when it is silent for longer still.
constexpr std::chrono::seconds SILENCE{60}, SILENCE_AFTER_PING{15};
constexpr std::chrono::seconds CLOSING{1}; // for how long the server's close frame is waited for

// SIGINT and SIGTERM, as a descriptor that is readable from the first of them on.
class Interrupts {
public:
    Interrupts() {
        sigset_t signals;
        sigemptyset(&signals);
        sigaddset(&signals, SIGINT);
        sigaddset(&signals, SIGTERM);
        sigprocmask(SIG_BLOCK, &signals, nullptr);
        descriptor_ = signalfd(-1, &signals, SFD_CLOEXEC);
    }
    ~Interrupts() { close(descriptor_); }
    Interrupts(const Interrupts&) = delete;
    Interrupts& operator=(const Interrupts&) = delete;

    int descriptor() const { return descriptor_; }
    // True when there is one within this time.
    bool come_within(uint64_t milliseconds) const {
        pollfd watched = {.fd = descriptor_, .events = POLLIN, .revents = 0};
        return poll(&watched, 1, static_cast<int>(milliseconds)) > 0;
    }

private:
    int descriptor_;
};

std::string subscribe_event(const std::vector<std::string>& channels, Id last) {
    const Json names(json_array());
    for (const std::string& channel : channels)
        json_array_append_new(names.get(), json_stringn(channel.data(), channel.size()));
    // Odoo 19.4 and later read check_outdated without a default; see client_event.cpp.
    const Json event(json_pack("{s:s, s:{s:O, s:I, s:b, s:b}}", "event_name", "subscribe", "data", "channels",
                               names.get(), "last", static_cast<json_int_t>(last), "check_outdated", 0,
                               "name_channels", 0));
    const std::unique_ptr<char, decltype(&free)> text(json_dumps(event.get(), JSON_COMPACT), &free);
    return text ? text.get() : "";
}

std::string line_of(const ReceivedElement& element, int64_t received_us, bool json) {
    std::string line;
    const auto out = std::back_inserter(line);
    if (json) {
        line = element.text;
        line.erase(line.find_last_of('}')); // an object, or read_frame() gave no id
        fmt::format_to(out, ",\"received_at\":{}.{:06}", received_us / 1'000'000, received_us % 1'000'000);
        if (element.sent_us)
            fmt::format_to(out, ",\"latency_ms\":{:.3f}",
                           static_cast<double>(received_us - *element.sent_us) / 1000);
        line += '}';
        // Strings hold no line ends; spaces between values may.
        for (char& c : line)
            c = c == '\n' || c == '\r' ? ' ' : c;
    } else {
        fmt::format_to(out, "{:%Y-%m-%dT%H:%M:%S}.{:03}Z #{}", fmt::gmtime(received_us / 1'000'000),
                       received_us / 1000 % 1000, *element.id);
        if (element.sent_us)
            fmt::format_to(out, " {:.1f} ms", static_cast<double>(received_us - *element.sent_us) / 1000);
        fmt::format_to(out, " {} {}", log::printable(element.type), log::printable(element.payload));
    }
    line += '\n';
    return line;
}

class Tail {
public:
    explicit Tail(TailOptions options)
        : options_(std::move(options)), cookies_(options_.cookie), last_(options_.last) {}

    // Returns the exit code.
    int run();

private:
    // Of one connection: an exit code, or nothing and why the connection was lost.
    std::optional<int> follow(std::string& why);
    std::optional<int> refused(const WebSocketClient::Opened& opened, std::string& why) const;
    std::optional<int> closed(std::string_view body, std::string& why) const;
    std::optional<int> print(std::string_view frame);
    int finish(WebSocketClient& socket, int exit_code) const;

    const TailOptions options_;
    const Interrupts interrupts_;
    CookieJar cookies_; // servers name themselves by one, and renew sessions by another
    Id last_;
    uint64_t printed_ = 0;
    uint64_t wait_ms_ = 0; // before the next connection
};

int Tail::run() {
    for (;;) {
        std::string why;
        if (const auto exit_code = follow(why))
            return *exit_code;
        wait_ms_ = next_backoff(wait_ms_);
        const uint64_t wait_ms = with_jitter(wait_ms_);
        log::warning("not connected to {} ({}), trying again in {:.1f} s", options_.url, why,
                     static_cast<double>(wait_ms) / 1000);
        if (interrupts_.come_within(wait_ms))
            return 0;
    }
}

std::optional<int> Tail::follow(std::string& why) {
    const std::string cookies = cookies_.header();
    const auto opened = WebSocketClient::open(
        options_.endpoint, cookies.empty() ? "" : fmt::format("Cookie: {}\r\n", cookies),
        {.verifies_certificate = !options_.insecure, .interrupt = interrupts_.descriptor()});
    for (const std::string& cookie : opened.set_cookies)
        cookies_.set(cookie);
    if (interrupts_.come_within(0))
        return 0;
    if (!opened.socket)
        return refused(opened, why);
    log::info("connected to {}", options_.url);
    WebSocketClient& socket = *opened.socket;
    socket.send_text(subscribe_event(options_.channels, last_));
    for (bool has_pinged = false;;) {
        const auto patience = has_pinged ? SILENCE_AFTER_PING : SILENCE;
        const auto frame = socket.next(MonotonicClock::now() + patience);
        switch (frame.kind) {
        case WebSocketClient::Kind::text:
            if (const auto exit_code = print(frame.payload))
                return finish(socket, *exit_code);
            break;
        case WebSocketClient::Kind::too_large:
            log::error("{} sends a message of more than 256 MiB; is this an Odoo bus?", options_.url);
            return finish(socket, 1);
        case WebSocketClient::Kind::interrupted:
            return finish(socket, 0);
        case WebSocketClient::Kind::close:
            return closed(frame.payload, why);
        case WebSocketClient::Kind::end:
            why = "without a close frame";
            return std::nullopt;
        case WebSocketClient::Kind::silence:
            if (has_pinged || !socket.send_ping()) {
                why = "silent";
                return std::nullopt;
            }
            break;
        default:
            break;
        }
        has_pinged = frame.kind == WebSocketClient::Kind::silence;
    }
}

std::optional<int> Tail::refused(const WebSocketClient::Opened& opened, std::string& why) const {
    const int status = opened.status;
    const std::string reason = opened.reason.empty() ? "" : fmt::format(" ({})", opened.reason);
    why = status >= 400 ? fmt::format("HTTP status {}{}", status, reason) : opened.problem;
    if (status >= 400 && status < 500 && status != 408 && status != 429) {
        log::error(
            "{} refuses with HTTP status {}{}; is it the address of a WebSocket, and the cookie valid?",
            options_.url, status, reason);
        return 1;
    }
    if (why.find("certificate") != why.npos)
        why += "; --insecure accepts any certificate";
    return std::nullopt;
}

std::optional<int> Tail::closed(std::string_view body, std::string& why) const {
    const auto byte = [body](size_t i) { return static_cast<unsigned char>(body[i]); };
    const int code = body.size() < 2 ? 1005 : byte(0) << 8 | byte(1);
    why = fmt::format("closed with {}{}{}", code, body.size() > 2 ? " " : "",
                      log::printable(body.substr(std::min<size_t>(body.size(), 2))));
    // Shipped pages do not come back after 1000, and not before a new login after 4001.
    if (code != close_code::NORMAL && code != close_code::SESSION_EXPIRED)
        return std::nullopt;
    log::error("{} {}; {}", options_.url, why,
               code == close_code::NORMAL ? "the server wants no reconnection"
                                          : "give the cookie of a valid session");
    return 1;
}

std::optional<int> Tail::print(std::string_view frame) {
    const int64_t received_us = now_us();
    const auto elements = read_frame(frame);
    if (!elements) {
        log::warning("a frame is not a JSON array: {}", frame.substr(0, 200));
        return std::nullopt;
    }
    wait_ms_ = 0; // this server works
    for (const ReceivedElement& element : *elements) {
        if (!element.id) {
            log::info("the server says {}", element.text.substr(0, 200));
            continue;
        }
        const std::string line = line_of(element, received_us, options_.json);
        if (std::fwrite(line.data(), 1, line.size(), stdout) != line.size() || std::fflush(stdout) != 0) {
            if (errno != EPIPE) // as when `head` has enough
                log::error("standard output cannot be written ({}); is the disk full?", std::strerror(errno));
            return 1;
        }
        last_ = *element.id;
        if (++printed_ == options_.count)
            return 0;
    }
    return std::nullopt;
}

// Closes, and returns the exit code.
int Tail::finish(WebSocketClient& socket, int exit_code) const {
    const Monotonic deadline = MonotonicClock::now() + CLOSING;
    bool is_open = socket.send_close(close_code::NORMAL);
    while (is_open) {
        const auto kind = socket.next(deadline).kind;
        is_open = kind == WebSocketClient::Kind::text || kind == WebSocketClient::Kind::ping ||
                  kind == WebSocketClient::Kind::other;
    }
    return exit_code;
}

} // namespace

int run_tail(const std::vector<std::string>& arguments) {
    auto parsed = parse_tail_options(arguments);
    if (const auto* text = std::get_if<OptionsText>(&parsed)) {
        std::fputs(text->text.c_str(), stdout);
        return 0;
    }
    if (const auto* error = std::get_if<OptionsError>(&parsed)) {
        std::fprintf(stderr, "odoo-bus-gateway tail: %s\n", error->message.c_str());
        return 2;
    }
    std::signal(SIGPIPE, SIG_IGN);
    return Tail(std::move(std::get<TailOptions>(parsed))).run();
}

} // namespace odoo_bus
