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
#include "clients/unforwarded.h"
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

// About what an idle connection takes, with what libwebsockets keeps (bench/connections).
constexpr size_t CONNECTION_BYTES = 2'400;
constexpr int END_CONNECTION = -1; // as an answer to libwebsockets

// RFC 6455: a control frame has 125 bytes at most, the code takes two of them.
constexpr size_t MAX_CLOSE_REASON = 123;

// How long a client may take to read and answer a close frame.
constexpr Duration CLOSE_WITHIN = std::chrono::seconds(5);

// --max-receive-rate is the mean of so long a time.
constexpr Duration RECEIVE_WINDOW = std::chrono::seconds(10);

// A frame whole, with its header (RFC 6455, 5.2) in the room before the payload: always the same bytes,
// so that it is no matter how many connections are sent it.
std::span<const char> with_header(const std::string& frame, uint8_t first_byte) {
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
    payload[-header] = first_byte;
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
        (*self)->on_peer_close({static_cast<const char*>(in), length});
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
    closes.with({code_label(close_code_ ? close_code_ : close_code::NO_FRAME)}).add();
}

void WebSocket::on_peer_close(std::string_view payload) {
    if (close_code_)
        return;
    parted();
    if (payload.size() >= 2)
        close_code_ = static_cast<uint8_t>(payload[0]) << 8 | static_cast<uint8_t>(payload[1]);
    if (uplink_)
        uplink_->part(parse_close(payload).value_or(CloseStatus{close_code::PROTOCOL_ERROR, {}}));
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
    if (message_.empty()) {
        on_message(part);
    } else {
        append(part);
        on_message(message_);
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

void WebSocket::on_message(std::string_view message) {
    const bool is_binary = lws_frame_is_binary(wsi_) != 0;
    if (uplink_ && uplink_->is_tunnel()) {
        count_message();
        uplink_->send(is_binary ? Opcode::binary : Opcode::text, message);
        recharge();
        read_unless_choked();
    } else if (!is_binary) { // else it is the page's liveness probe: its arrival is all that it says
        receive(message);
    }
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
    return CONNECTION_BYTES + message_.capacity() + unsent_ + (uplink_ ? uplink_->held_bytes() : 0);
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
    send_frame(frame, FINAL_FRAME | static_cast<uint8_t>(Opcode::text));
}

void WebSocket::send_frame(const std::string& frame, uint8_t first_byte) {
    if (state_ != State::open)
        return;
    const size_t length = frame.size() - FRAME_HEADROOM;
    sent_bytes.add(length);
    std::span<const char> bytes = with_header(frame, first_byte);
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
    if (uplink_)
        uplink_->on_client_writable();
    on_writable();
}

void WebSocket::close(int code, std::string_view reason) {
    if (state_ != State::open)
        return;
    state_ = State::closing;
    closing_ = MonotonicClock::now();
    close_code_ = code;
    close_reason_ = reason;
    if (uplink_)
        uplink_->part({code, std::string(reason)});
    read_unless_choked(); // the end of the connection
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
    const std::string payload = close_payload({close_code_, close_reason_.substr(0, MAX_CLOSE_REASON)});
    std::string frame(FRAME_HEADROOM, '\0');
    frame += {'\x88', static_cast<char>(payload.size())};
    frame += payload;
    auto* const bytes = reinterpret_cast<unsigned char*>(frame.data()) + FRAME_HEADROOM;
    lws_write(wsi_, bytes, frame.size() - FRAME_HEADROOM, LWS_WRITE_HTTP); // as it stands
}

// libwebsockets sees the end of the socket and calls LWS_CALLBACK_CLOSED. (Its own time-outs do not run on a
// foreign loop until something else happens there.)
void WebSocket::drop() {
    shutdown(lws_get_socket_fd(wsi_), SHUT_RDWR);
}

// --- its connection to Odoo ---

// Null when Odoo's own bus server is not used.
Uplink* WebSocket::uplink() {
    if (!uplink_ && service_.options().odoo_websocket && admission_.requester)
        uplink_ = std::make_unique<Uplink>(service_, *this, *admission_.requester);
    return uplink_.get();
}

void WebSocket::keep_for_odoo(std::string_view message) {
    if (Uplink* const odoo = uplink())
        odoo->keep(message);
}

bool WebSocket::pass_on_event(std::string_view event) {
    Uplink* const odoo = uplink();
    if (odoo && !odoo->send_event(event))
        note_unforwarded(Unforwarded::late_event, {});
    return odoo != nullptr;
}

// A subscription that the client has had is replaced, and Odoo begins at the `last` that it names now.
bool WebSocket::pass_on_subscribe(std::string_view subscribe) {
    if (has_subscribed() && uplink_ && uplink_->is_idle())
        uplink_.reset(); // what was kept has had its effect
    Uplink* const odoo = uplink();
    if (!odoo)
        return false;
    odoo->become_tunnel();
    hand_over();
    odoo->send(Opcode::text, subscribe);
    read_unless_choked();
    return true;
}

void WebSocket::write(const FramePiece& piece) {
    const Opcode opcode = piece.is_first ? piece.opcode : Opcode::continuation;
    send_frame(std::string(FRAME_HEADROOM, '\0') + piece.payload,
               static_cast<uint8_t>(opcode) | (piece.is_last ? FINAL_FRAME : 0));
}

void WebSocket::read_unless_choked() {
    const bool holds = uplink_ && uplink_->is_tunnel() && uplink_->is_choked();
    if (std::exchange(holds_reading_, holds) == holds)
        return;
    lws_rx_flow_control(wsi_, holds ? 0 : 1);
    // libwebsockets takes up what it has read already when something happens on the loop.
    if (!holds && state_ == State::open)
        want_writable();
}

void WebSocket::odoo_hears_of_end() {
    service_.authorizer().odoo_hears_of_end(admission_);
}

void WebSocket::odoo_has_ended(const CloseStatus& status) {
    if (status.code != close_code::NO_FRAME)
        return close(status.code, status.reason);
    if (state_ != State::open)
        return;
    state_ = State::close_written;
    closing_ = MonotonicClock::now();
    read_unless_choked();
    drop();
}

void WebSocket::tick(Monotonic now) {
    if (state_ != State::open) {
        if (now - closing_ > CLOSE_WITHIN)
            drop();
        return;
    }
    if (uplink_ && uplink_->is_idle() && has_subscribed())
        uplink_.reset();
    if (uplink_) {
        uplink_->tick(now);
        recharge();
    }
    if (holds_reading_) {
        heard_ = now; // what it says is not read
        pinged_.reset();
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
