// The subcommand `tail`: a subscriber for the command line, on libwebsockets' own loop.
#include "commands/tail.h"

#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string_view>

#include <libwebsockets.h>
#include <spdlog/fmt/chrono.h>
#include <spdlog/fmt/fmt.h>

#include "base/backoff.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "commands/tail_options.h"
#include "http/cookie_jar.h"
#include "protocol/received_frame.h"

namespace odoo_bus {

namespace {

constexpr size_t MAX_FRAME_BYTES = 256 << 20;
constexpr lws_usec_t CLOSING_US = 1'000'000; // how long a proper end may take
constexpr const char* AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt";

lws_context* running = nullptr; // for the signal handler
volatile std::sig_atomic_t interrupted = 0;

void interrupt(int) {
    interrupted = 1;
    if (running)
        lws_cancel_service(running);
}

std::string subscribe_event(const std::vector<std::string>& channels, Id last) {
    const Json names(json_array());
    for (const std::string& channel : channels)
        json_array_append_new(names.get(), json_stringn(channel.data(), channel.size()));
    const Json event(json_pack("{s:s, s:{s:O, s:I}}", "event_name", "subscribe", "data", "channels",
                               names.get(), "last", static_cast<json_int_t>(last)));
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

    int run();

    int handle(lws* wsi, lws_callback_reasons reason, void* in, size_t length);

private:
    struct Timer {
        lws_sorted_usec_list_t entry{}; // first, so that the callback finds its timer
        Tail* tail;
    };

    void connect();
    void lost(std::string_view why);
    void finish(int exit_code);
    void receive(std::string_view part, bool is_last);
    void print(std::string_view frame);
    int append_cookies(lws* wsi, void* in, size_t length) const;
    void keep_cookies(lws* wsi);
    int write(lws* wsi);
    void closed_by_server(std::string_view body);
    void connection_failed(lws* wsi, std::string_view why);

    const TailOptions options_;
    CookieJar cookies_; // servers name themselves by one, and renew sessions by another
    lws_context* context_ = nullptr;
    lws* wsi_ = nullptr;
    Timer retry_{{}, this};
    Timer end_{{}, this};
    bool retrying_ = false;
    bool subscribed_ = false;
    bool finished_ = false; // the connection is to be closed
    bool ended_ = false;    // the loop is to end
    int exit_code_ = 0;
    uint64_t wait_ms_ = 0;
    std::string frame_;
    std::string close_reason_;
    Id last_;
    uint64_t printed_ = 0;
};

int handle_event(lws* wsi, lws_callback_reasons reason, void*, void* in, size_t length) {
    lws_context* context = lws_get_context(wsi);
    auto* tail = context ? static_cast<Tail*>(lws_context_user(context)) : nullptr;
    return tail ? tail->handle(wsi, reason, in, length) : 0;
}

int Tail::run() {
    lws_set_log_level(LLL_ERR | LLL_WARN,
                      [](int, const char* line) { log::debug("libwebsockets: {}", line); });
    const lws_protocols protocols[] = {{"tail", handle_event, 0, 64 << 10, 0, nullptr, 0},
                                       {nullptr, nullptr, 0, 0, 0, nullptr, 0}};
    lws_context_creation_info info{};
    info.port = CONTEXT_PORT_NO_LISTEN;
    info.protocols = protocols;
    info.user = this;
    info.options = LWS_SERVER_OPTION_JUST_USE_RAW_ORIGIN;
    info.pt_serv_buf_size = 64 << 10;      // a request with many cookies must fit
    info.max_http_header_data2 = 16 << 10; // and an answer
    if (options_.tls) {
        info.options |= LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT;
        if (access(AUTHORITIES, R_OK) == 0)
            info.client_ssl_ca_filepath = AUTHORITIES;
    }
    context_ = lws_create_context(&info);
    if (!context_) {
        log::error("libwebsockets could not be set up; is there memory left?");
        return 1;
    }
    running = context_;
    connect();
    while (!ended_ && lws_service(context_, 0) >= 0)
        if (interrupted && !finished_)
            finish(0);
    running = nullptr;
    lws_context_destroy(context_);
    return exit_code_;
}

void Tail::connect() {
    retrying_ = false;
    subscribed_ = false;
    frame_.clear();
    close_reason_ = "without a close frame";
    static const lws_retry_bo_t policy = [] {
        lws_retry_bo_t idle{};
        idle.secs_since_valid_ping = 60; // servers ping sooner
        idle.secs_since_valid_hangup = 75;
        return idle;
    }();
    const std::string origin = (options_.tls ? "https://" : "http://") + options_.host;
    lws_client_connect_info info{};
    info.context = context_;
    info.address = options_.address.c_str();
    info.port = options_.port;
    info.path = options_.target.c_str();
    info.host = options_.host.c_str();
    info.origin = origin.c_str();
    info.ietf_version_or_minus_one = -1;
    info.local_protocol_name = "tail";
    info.retry_and_idle_policy = &policy;
    info.pwsi = &wsi_;
    if (options_.tls)
        info.ssl_connection = LCCSCF_USE_SSL;
    if (options_.tls && options_.insecure)
        info.ssl_connection |= LCCSCF_ALLOW_SELFSIGNED | LCCSCF_SKIP_SERVER_CERT_HOSTNAME_CHECK |
                               LCCSCF_ALLOW_EXPIRED | LCCSCF_ALLOW_INSECURE;
    if (!lws_client_connect_via_info(&info))
        lost("there is no such host or socket");
}

// Tries again later, unless this is the end. libwebsockets may report one loss in two ways.
void Tail::lost(std::string_view why) {
    wsi_ = nullptr;
    if (finished_) {
        ended_ = true;
        return;
    }
    if (retrying_)
        return;
    retrying_ = true;
    wait_ms_ = next_backoff(wait_ms_);
    const uint64_t wait_ms = with_jitter(wait_ms_);
    log::warning("not connected to {} ({}), trying again in {:.1f} s", options_.url, why,
                 static_cast<double>(wait_ms) / 1000);
    lws_sul_schedule(
        context_, 0, &retry_.entry,
        [](lws_sorted_usec_list_t* entry) { reinterpret_cast<Timer*>(entry)->tail->connect(); },
        static_cast<lws_usec_t>(wait_ms) * 1000);
}

void Tail::finish(int exit_code) {
    exit_code_ = exit_code;
    finished_ = true;
    if (!wsi_ || !subscribed_) {
        ended_ = true;
        return;
    }
    lws_callback_on_writable(wsi_); // to send a close frame
    lws_sul_schedule(
        context_, 0, &end_.entry,
        [](lws_sorted_usec_list_t* entry) { reinterpret_cast<Timer*>(entry)->tail->ended_ = true; },
        CLOSING_US);
}

void Tail::receive(std::string_view part, bool is_last) {
    if (frame_.size() + part.size() > MAX_FRAME_BYTES) {
        log::error("{} sends a frame of more than 256 MiB; is this an Odoo bus?", options_.url);
        return finish(1);
    }
    frame_ += part;
    if (!is_last)
        return;
    print(frame_);
    frame_.clear();
}

void Tail::print(std::string_view frame) {
    const int64_t received_us = now_us();
    const auto elements = read_frame(frame);
    if (!elements) {
        log::warning("a frame is not a JSON array: {}", frame.substr(0, 200));
        return;
    }
    wait_ms_ = 0; // this server works
    for (const ReceivedElement& element : *elements) {
        if (finished_)
            return;
        if (!element.id) {
            log::info("the server says {}", element.text.substr(0, 200));
            continue;
        }
        const std::string line = line_of(element, received_us, options_.json);
        if (std::fwrite(line.data(), 1, line.size(), stdout) != line.size() || std::fflush(stdout) != 0) {
            if (errno != EPIPE) // as when `head` has enough
                log::error("standard output cannot be written ({}); is the disk full?", std::strerror(errno));
            return finish(1);
        }
        last_ = *element.id;
        if (++printed_ == options_.count)
            return finish(0);
    }
}

int Tail::append_cookies(lws* wsi, void* in, size_t length) const {
    const std::string cookies = cookies_.header();
    if (cookies.empty())
        return 0;
    auto** at = static_cast<unsigned char**>(in);
    return lws_add_http_header_by_name(wsi, reinterpret_cast<const unsigned char*>("cookie:"),
                                       reinterpret_cast<const unsigned char*>(cookies.data()),
                                       static_cast<int>(cookies.size()), at, *at + length);
}

void Tail::keep_cookies(lws* wsi) {
    for (int i = 0; const int length = lws_hdr_fragment_length(wsi, WSI_TOKEN_HTTP_SET_COOKIE, i); ++i) {
        std::string cookie(static_cast<size_t>(length) + 1, '\0');
        if (lws_hdr_copy_fragment(wsi, cookie.data(), length + 1, WSI_TOKEN_HTTP_SET_COOKIE, i) == length)
            cookies_.set(cookie.c_str());
    }
}

int Tail::write(lws* wsi) {
    if (finished_) {
        lws_close_reason(wsi, LWS_CLOSE_STATUS_NORMAL, nullptr, 0);
        return -1;
    }
    if (subscribed_)
        return 0;
    subscribed_ = true;
    const std::string event = subscribe_event(options_.channels, last_);
    std::string buffer(LWS_PRE, '\0');
    buffer += event;
    auto* payload = reinterpret_cast<unsigned char*>(buffer.data()) + LWS_PRE;
    return lws_write(wsi, payload, event.size(), LWS_WRITE_TEXT) < 0 ? -1 : 0;
}

void Tail::closed_by_server(std::string_view body) {
    const auto byte = [body](size_t i) { return static_cast<unsigned char>(body[i]); };
    const int code = body.size() < 2 ? 1005 : byte(0) << 8 | byte(1);
    const std::string text = body.size() > 2 ? " " + log::printable(body.substr(2)) : "";
    // libwebsockets 4.1 turns codes that are newer than RFC 6455 into 1002.
    close_reason_ =
        fmt::format("closed with {}{}", code == 1002 ? "1002, or 1012 to 1014" : std::to_string(code), text);
    // Shipped pages do not come back after 1000, and not before a new login after 4001.
    if (!finished_ && (code == 1000 || code == 4001)) {
        log::error("{} {}; {}", options_.url, close_reason_,
                   code == 4001 ? "give the cookie of a session that is valid" : "it wants no other attempt");
        exit_code_ = 1;
        finished_ = true;
    }
}

void Tail::connection_failed(lws* wsi, std::string_view why) {
    const auto status = lws_http_client_http_response(wsi);
    if (status >= 400 && status < 500 && status != 408 && status != 429) {
        log::error("{} refuses with HTTP status {}; is it a WebSocket's address, and the cookie right?",
                   options_.url, status);
        exit_code_ = 1;
        finished_ = true;
    }
    if (status >= 400)
        return lost(fmt::format("HTTP status {}", status));
    const bool is_tls = why.find("SSL") != why.npos || why.find("tls") != why.npos;
    lost(is_tls ? fmt::format("{}; a certificate that is not trusted needs --insecure", why)
                : std::string(why));
}

int Tail::handle(lws* wsi, lws_callback_reasons reason, void* in, size_t length) {
    const std::string_view bytes(static_cast<const char*>(in), in ? length : 0);
    switch (reason) {
    case LWS_CALLBACK_CLIENT_APPEND_HANDSHAKE_HEADER:
        return append_cookies(wsi, in, length);
    case LWS_CALLBACK_CLIENT_FILTER_PRE_ESTABLISH:
        keep_cookies(wsi);
        return 0;
    case LWS_CALLBACK_CLIENT_ESTABLISHED:
        log::info("connected to {}", options_.url);
        lws_callback_on_writable(wsi);
        return 0;
    case LWS_CALLBACK_CLIENT_WRITEABLE:
        return write(wsi);
    case LWS_CALLBACK_CLIENT_RECEIVE:
        receive(bytes, lws_is_final_fragment(wsi) && lws_remaining_packet_payload(wsi) == 0);
        return 0;
    case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
        closed_by_server(bytes);
        return 0;
    case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
        connection_failed(wsi, bytes.empty() ? "no reason given" : bytes);
        return 0;
    case LWS_CALLBACK_CLIENT_CLOSED:
        lost(close_reason_);
        return 0;
    default:
        return lws_callback_http_dummy(wsi, reason, nullptr, in, length);
    }
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
    struct sigaction action {};
    action.sa_handler = interrupt;
    sigaction(SIGINT, &action, nullptr);
    sigaction(SIGTERM, &action, nullptr);
    action.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &action, nullptr);
    return Tail(std::move(std::get<TailOptions>(parsed))).run();
}

} // namespace odoo_bus
