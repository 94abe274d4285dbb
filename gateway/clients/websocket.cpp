// One WebSocket connection: what libwebsockets calls back, and what a shipped Odoo server does on the same
// events.
#include "clients/websocket.h"

#include <algorithm>
#include <span>

#include <libwebsockets.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/log.h"
#include "clients/adopt_with_head.h"
#include "clients/bytes_received.h"
#include "clients/service.h"
#include "metrics/metrics.h"
#include "protocol/close_codes.h"

namespace odoo_bus {

static_assert(FRAME_HEADROOM >= LWS_PRE);

namespace {

const metrics::Counter sent_bytes("odoo_bus_sent_bytes_total", "Bytes of the payloads of frames sent.");
const metrics::Counter received_bytes("odoo_bus_received_bytes_total",
                                      "Bytes of messages received from clients.");
const metrics::Counter pings("odoo_bus_pings_total", "Pings sent.");
const metrics::Counter unanswered("odoo_bus_unanswered_pings_total",
                                  "Connections dropped because no pong was received.");
const metrics::Family
    closes("odoo_bus_closes_total",
           "Closed connections, by the code of the close frame that the gateway sent, or that the "
           "client sent first; 1006: there was none.",
           metrics::Type::counter, {"code"});

// Codes that a client makes up are one.
std::string code_label(int code) {
    const bool known = (code >= 1000 && code <= 1015) || (code >= 4000 && code <= 4009);
    return known ? std::to_string(code) : "other";
}

constexpr int NO_CLOSE_FRAME = 1006;

// About what an idle connection takes, with what libwebsockets keeps (bench/connections).
constexpr size_t CONNECTION_BYTES = 2'400;
constexpr int END_CONNECTION = -1; // as an answer to libwebsockets

// RFC 6455: a control frame has 125 bytes at most, the code takes two of them.
constexpr size_t MAX_CLOSE_REASON = 123;

// How long a client may take to read and answer a close frame.
constexpr Duration CLOSE_WITHIN = std::chrono::seconds(5);

// --max-receive-rate is the mean of so long a time.
constexpr Duration RECEIVE_WINDOW = std::chrono::seconds(10);

// A text frame whole, with its header (RFC 6455, 5.2) in the room before the payload: always the same bytes,
// so that it is no matter how many connections are sent it.
std::span<const char> with_header(const std::string& frame) {
    auto* const payload = reinterpret_cast<uint8_t*>(const_cast<char*>(frame.data())) + FRAME_HEADROOM;
    const uint64_t length = frame.size() - FRAME_HEADROOM;
    const auto put = [payload](int at, uint64_t value, int bytes) {
        while (bytes-- > 0)
            payload[at++] = static_cast<uint8_t>(value >> (8 * bytes));
    };
    int header = 2;
    if (length < 126) {
        put(-1, length, 1);
    } else if (length <= UINT16_MAX) {
        header = 4;
        put(-3, 126, 1);
        put(-2, length, 2);
    } else {
        header = 10;
        put(-9, 127, 1);
        put(-8, length, 8);
    }
    constexpr uint8_t FINAL_TEXT = 0x81;
    payload[-header] = FINAL_TEXT;
    return {reinterpret_cast<const char*>(payload) - header, length + static_cast<size_t>(header)};
}

} // namespace

const lws_protocols WebSocket::PROTOCOLS[] = {
    {.name = "odoo-bus",
     .callback = [](lws* wsi, lws_callback_reasons reason, void* user, void* in,
                    size_t length) { return WebSocket::callback(wsi, reason, user, in, length); },
     .per_session_data_size = sizeof(WebSocket*),
     .rx_buffer_size = 256, // kept by every connection; a control frame must fit
     .id = 0,
     .user = nullptr,
     .tx_packet_size = 1 << 20}, // a frame in one send(), whatever its length; takes no memory
    {},
};

int WebSocket::callback(lws* wsi, int reason, void* user, void* in, size_t length) {
    WebSocket** const self = static_cast<WebSocket**>(user);
    switch (reason) {
    case LWS_CALLBACK_ADD_HEADERS:
        return name_gateway(wsi, static_cast<lws_process_html_args*>(in));
    case LWS_CALLBACK_ESTABLISHED: {
        auto* const service = static_cast<Service*>(lws_context_user(lws_get_context(wsi)));
        if (!service->adopting_)
            return END_CONNECTION;
        auto session = std::make_unique<WebSocket>(
            *service, std::move(*std::exchange(service->adopting_, nullptr)), wsi);
        *self = session.get();
        service->own(std::move(session));
        return 0;
    }
    case LWS_CALLBACK_RECEIVE:
        (*self)->on_received({static_cast<const char*>(in), length});
        return 0;
    case LWS_CALLBACK_RECEIVE_PONG:
        (*self)->heard_ = MonotonicClock::now();
        (*self)->pinged_.reset();
        return 0;
    case LWS_CALLBACK_SERVER_WRITEABLE:
        (*self)->on_writable_callback();
        return 0;
    case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
        if (!(*self)->close_code_) {
            (*self)->parted();
            if (length >= 2)
                (*self)->close_code_ =
                    static_cast<const uint8_t*>(in)[0] << 8 | static_cast<const uint8_t*>(in)[1];
        }
        // libwebsockets answers it, unless it is the answer to our own.
        return (*self)->state_ == State::open ? 0 : END_CONNECTION;
    case LWS_CALLBACK_CLOSED:
        // At once: nothing may be written to it any more.
        if (const WebSocket* const closed = std::exchange(*self, nullptr))
            closed->service_.destroy(closed->number());
        return 0;
    case LWS_CALLBACK_WSI_DESTROY:
        destroyed(wsi);
        return 0;
    default:
        return 0;
    }
}

// Sets the cookie by which a client tells, when it comes back, which gateway knows its position.
int WebSocket::name_gateway(lws* wsi, lws_process_html_args* answer) {
    auto* const service = static_cast<Service*>(lws_context_user(lws_get_context(wsi)));
    const Admission* const admission = service->adopting_;
    if (!admission)
        return 0;
    auto** const at = reinterpret_cast<unsigned char**>(&answer->p);
    unsigned char* const end = *at + answer->max_len;
    const auto set = [wsi, at, end](const std::string& cookie) {
        return lws_add_http_header_by_name(wsi, reinterpret_cast<const unsigned char*>("Set-Cookie:"),
                                           reinterpret_cast<const unsigned char*>(cookie.data()),
                                           static_cast<int>(cookie.size()), at, end);
    };
    if (admission->requester && !admission->requester->new_cookie.empty() &&
        set(admission->requester->new_cookie))
        return -1;
    const std::string cookie = set_gateway_cookie(admission->provenance, service->gateway_id());
    return cookie.empty() ? 0 : set(cookie);
}

WebSocket::WebSocket(Service& service, Admission admission, lws* wsi)
    : Session(service, std::move(admission)), wsi_(wsi), socket_(lws_get_socket_fd(wsi)),
      heard_(MonotonicClock::now()), expires_(heard_ + service.lifetime()), counted_(heard_) {}

WebSocket::~WebSocket() {
    closes.with({code_label(close_code_ ? close_code_ : NO_CLOSE_FRAME)}).add();
}

void WebSocket::on_received(std::string_view part) {
    if (state_ != State::open)
        return;
    const Monotonic now = MonotonicClock::now();
    heard_ = now;
    received_bytes.add(part.size());
    if (message_.size() + part.size() > service_.options().max_message_bytes)
        return close(close_code::MESSAGE_TOO_BIG, "message too big");
    const bool whole = lws_is_final_fragment(wsi_) && lws_remaining_packet_payload(wsi_) == 0;
    if (!may_hold(part.size()))
        return shed();
    if (!whole) {
        append(part);
        if (!message_since_)
            message_since_ = now;
        return;
    }
    message_since_.reset();
    if (too_fast(now))
        return close(close_code::TRY_AGAIN_LATER, "too many messages");
    // A binary frame is the page's liveness probe: its arrival is all that it says.
    if (!lws_frame_is_binary(wsi_)) {
        if (message_.empty()) {
            receive(part);
        } else {
            append(part);
            receive(message_);
        }
    }
    const bool was_charged = message_.capacity() > std::string().capacity();
    message_ = {};
    if (was_charged)
        recharge();
}

void WebSocket::append(std::string_view part) {
    const size_t before = message_.capacity();
    message_ += part;
    if (message_.capacity() != before)
        recharge();
}

// Odoo's rule: no more than `burst` messages within `burst` times `delay`.
bool WebSocket::too_fast(Monotonic now) {
    const unsigned burst = service_.options().rate_limit_burst;
    const Duration window = service_.options().rate_limit_delay * burst;
    std::erase_if(received_, [=](Monotonic then) { return now - then > window; });
    received_.push_back(now);
    return received_.size() > burst;
}

// Pings, empty fragments and what else libwebsockets keeps to itself.
bool WebSocket::too_much(Monotonic now) {
    const Duration elapsed = now - counted_;
    if (elapsed < RECEIVE_WINDOW)
        return false;
    const auto received = bytes_received(lws_get_socket_fd(wsi_));
    if (!received)
        return false;
    counted_ = now;
    const uint64_t bytes = *received - std::exchange(counted_bytes_, *received);
    const double allowed = static_cast<double>(service_.options().max_receive_rate) *
                           std::chrono::duration<double>(elapsed).count();
    return static_cast<double>(bytes) > allowed + static_cast<double>(service_.options().max_message_bytes);
}

size_t WebSocket::transport_bytes() const {
    return CONNECTION_BYTES + message_.capacity() + unsent_;
}

bool WebSocket::writable() {
    return state_ == State::open && !wants_writable_ && !lws_partial_buffered(wsi_);
}

void WebSocket::expect_write() const {
    __builtin_prefetch(&wsi_);
}

// Not by libwebsockets, which looks at much that belongs to one connection only: the header is the same for
// all, and there is nothing else to be done to a frame that the socket takes.
void WebSocket::write(const std::string& frame) {
    if (state_ != State::open)
        return;
    const size_t length = frame.size() - FRAME_HEADROOM;
    sent_bytes.add(length);
    std::span<const char> bytes = with_header(frame);
    if (!lws_partial_buffered(wsi_)) {
        const ssize_t sent = send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (sent == static_cast<ssize_t>(bytes.size()))
            return;
        bytes = bytes.subspan(static_cast<size_t>(std::max<ssize_t>(sent, 0)));
    }
    if (!may_hold(bytes.size())) {
        close(close_code::TRY_AGAIN_LATER, "memory is full");
        return drop(); // it may be within the frame
    }
    // It keeps what the socket does not take, and sends it later. A failure shows as a closed connection when
    // libwebsockets next looks at it.
    auto* const rest = reinterpret_cast<unsigned char*>(const_cast<char*>(bytes.data()));
    lws_write(wsi_, rest, bytes.size(), LWS_WRITE_HTTP); // as it stands
    if (lws_partial_buffered(wsi_))
        charge_unsent(unsent_ + bytes.size());
}

void WebSocket::charge_unsent(size_t bytes) {
    if (std::exchange(unsent_, static_cast<uint32_t>(bytes)) != unsent_)
        recharge();
}

void WebSocket::want_writable() {
    if (!wants_writable_)
        lws_callback_on_writable(wsi_);
    wants_writable_ = true;
}

void WebSocket::on_writable_callback() {
    wants_writable_ = false;
    charge_unsent(0);
    if (state_ != State::open)
        return write_close();
    if (std::exchange(ping_due_, false)) {
        // libwebsockets does not tell of a pong without a payload.
        unsigned char ping[FRAME_HEADROOM + 1] = {};
        lws_write(wsi_, ping + FRAME_HEADROOM, 1, LWS_WRITE_PING);
        pings.add();
    }
    on_writable();
}

void WebSocket::close(int code, std::string_view reason) {
    if (state_ != State::open)
        return;
    state_ = State::closing;
    closing_ = MonotonicClock::now();
    close_code_ = code;
    close_reason_ = reason;
    lws_callback_on_writable(wsi_);
}

void WebSocket::close_at_once(int code, std::string_view reason) {
    const bool reads = writable();
    close(code, reason);
    message_ = {};
    if (reads)
        return;
    unsent_ = 0; // with the connection, which ends now
    drop();
}

// We write the close frame ourselves: Debian's libwebsockets, asked to end a connection by the answer to this
// callback, ends it twice on libuv, the second time before its close frame is written (a test of its own that
// a build with _DEBUG contains).
void WebSocket::write_close() {
    if (std::exchange(state_, State::close_written) == State::close_written)
        return;
    const size_t length = std::min(close_reason_.size(), MAX_CLOSE_REASON);
    std::string frame(FRAME_HEADROOM, '\0');
    frame += {'\x88', static_cast<char>(2 + length), static_cast<char>(close_code_ >> 8),
              static_cast<char>(close_code_)};
    frame.append(close_reason_, 0, length);
    auto* const bytes = reinterpret_cast<unsigned char*>(frame.data()) + FRAME_HEADROOM;
    lws_write(wsi_, bytes, frame.size() - FRAME_HEADROOM, LWS_WRITE_HTTP); // as it stands
}

// libwebsockets sees the end of the socket and calls LWS_CALLBACK_CLOSED. (Its own time-outs do not run on a
// foreign loop until something else happens there.)
void WebSocket::drop() {
    shutdown(lws_get_socket_fd(wsi_), SHUT_RDWR);
}

void WebSocket::tick(Monotonic now) {
    if (state_ != State::open) {
        if (now - closing_ > CLOSE_WITHIN)
            drop();
        return;
    }
    if (unsent_ && !lws_partial_buffered(wsi_))
        charge_unsent(0);
    if (now > expires_)
        return close(close_code::KEEP_ALIVE_TIMEOUT, "keep alive timeout");
    if (message_since_ && now - *message_since_ > service_.options().message_timeout())
        return close(close_code::TRY_AGAIN_LATER, "a message takes too long");
    if (too_much(now))
        return close(close_code::TRY_AGAIN_LATER, "too many bytes");
    if (pinged_ && now - *pinged_ > service_.options().pong_timeout) {
        unanswered.add();
        log::debug("dropping a connection whose client does not answer a ping");
        return drop();
    }
    if (!pinged_ && now - heard_ > service_.options().ping_interval) {
        pinged_ = now;
        ping_due_ = true;
        want_writable();
    }
    if (DatabaseFeed* const from = feed(); from && is_behind())
        from->fan_out.check_progress(*this, now);
}

} // namespace odoo_bus
