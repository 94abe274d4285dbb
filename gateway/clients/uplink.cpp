// What one WebSocket client has at Odoo's own bus server.
#include "clients/uplink.h"

#include <utility>

#include "auth/odoo/odoo_request.h"
#include "clients/service.h"
#include "clients/unforwarded.h"
#include "clients/websocket.h"
#include "http/handshake.h"
#include "metrics/metrics.h"
#include "protocol/close_codes.h"

namespace odoo_bus {

namespace {

const metrics::Gauge open_uplinks[] = {
    {"odoo_bus_odoo_websockets",
     "Open WebSockets to Odoo's own bus server (--odoo-websocket), by what they are for.",
     {{"kind", "shadow"}}},
    {"odoo_bus_odoo_websockets", "", {{"kind", "tunnel"}}}};
const metrics::Counter failures[] = {
    {"odoo_bus_odoo_websocket_failures_total",
     "WebSockets to Odoo's own bus server that did not come about, or broke, by what they were for.",
     {{"kind", "shadow"}}},
    {"odoo_bus_odoo_websocket_failures_total", "", {{"kind", "tunnel"}}}};

// Events wait for so long while Odoo's bus server cannot be reached.
constexpr Duration EVENT_PATIENCE = std::chrono::seconds(60);
constexpr std::chrono::milliseconds RETRY_AFTER{5'000};

// Of the messages that are kept in case that there will be a tunnel.
constexpr size_t MAX_KEPT = 4 << 10;

} // namespace

Uplink::Uplink(Service& service, WebSocket& client, const Requester& requester)
    : service_(service), client_(client), requester_(requester) {}

Uplink::~Uplink() {
    part({close_code::NO_FRAME, {}});
}

void Uplink::keep(std::string_view text) {
    if (kept_.size() + text.size() <= MAX_KEPT)
        kept_ += masked_frame(Opcode::text, text);
}

bool Uplink::send_event(std::string_view text) {
    if (is_choked())
        return false;
    if (kind_ == Kind::none)
        kind_ = Kind::shadow;
    send(Opcode::text, text);
    return true;
}

void Uplink::become_tunnel() {
    if (is_open_) {
        open_uplinks[0].subtract();
        open_uplinks[1].add();
    }
    kind_ = Kind::tunnel;
    try_again_at_ = {};
    const std::string kept = std::exchange(kept_, {});
    if (is_open_)
        socket_->send(kept);
    else
        waiting_ += kept;
}

void Uplink::send(Opcode opcode, std::string_view message) {
    if (is_open_)
        return socket_->send(masked_frame(opcode, message));
    if (waiting_.empty())
        waits_since_ = MonotonicClock::now();
    waiting_ += masked_frame(opcode, message);
    if (!socket_ && MonotonicClock::now() >= try_again_at_)
        open();
}

void Uplink::open() {
    Requester requester = requester_;
    service_.authorizer().renew(requester);
    const std::string key = make_websocket_key();
    OdooWebSocket::Owner& owner = *this;
    socket_ = std::make_unique<OdooWebSocket>(service_.uv(), service_.options(),
                                              websocket_request(requester, key), key, owner);
}

void Uplink::on_opened(const HttpAnswer& answer) {
    is_open_ = true;
    open_uplinks[is_tunnel()].add();
    note_odoo_websocket(service_.options(), {});
    backoff_.reset();
    Requester requester = requester_;
    service_.authorizer().renew(requester);
    if (service_.authorizer().changes_session(requester, answer.all("set-cookie")))
        return client_.close(close_code::KEEP_ALIVE_TIMEOUT, "session renewed");
    if (!is_tunnel())
        client_.odoo_hears_of_end();
    socket_->send(std::exchange(waiting_, {}));
}

void Uplink::on_piece(FramePiece piece) {
    if (!is_tunnel())
        return; // it has subscribed to nothing
    client_.write(piece);
    if (client_.writable())
        return;
    socket_->pause();
    if (!paused_since_)
        paused_since_ = MonotonicClock::now();
    client_.want_writable();
}

void Uplink::on_client_writable() {
    paused_since_.reset();
    if (socket_)
        socket_->resume();
}

void Uplink::on_drained() {
    client_.read_unless_choked();
}

void Uplink::on_ended(const CloseStatus& status, const std::string& problem) {
    const bool was_open = is_open_;
    closed();
    if (!problem.empty()) {
        failures[is_tunnel()].add();
        note_odoo_websocket(service_.options(), problem);
    }
    if (was_open && problem.empty())
        client_.odoo_has_ended(status);
    else if (was_open || is_tunnel())
        client_.close(close_code::TRY_AGAIN_LATER, "Odoo's bus server cannot be used");
    else
        try_again_at_ = MonotonicClock::now() + backoff_.next(RETRY_AFTER);
}

void Uplink::closed() {
    if (std::exchange(is_open_, false))
        open_uplinks[is_tunnel()].subtract();
    paused_since_.reset();
    choked_since_.reset();
    if (socket_)
        service_.part(std::move(socket_));
}

void Uplink::part(const CloseStatus& status) {
    if (socket_)
        socket_->part(status);
    closed();
    waiting_ = {};
}

void Uplink::retry(Monotonic now) {
    if (now - waits_since_ > EVENT_PATIENCE) {
        waiting_ = {};
        note_unforwarded(Unforwarded::late_event, {});
    } else if (now >= try_again_at_) {
        open();
    }
}

void Uplink::tick(Monotonic now) {
    if (socket_)
        socket_->tick(now);
    else if (!waiting_.empty())
        retry(now);
    if (!is_choked())
        choked_since_.reset();
    else if (!choked_since_)
        choked_since_ = now;
    const Duration patience = service_.options().max_queue_seconds;
    if (paused_since_ && now - *paused_since_ > patience)
        client_.fell_behind("time");
    else if (choked_since_ && now - *choked_since_ > patience)
        client_.close(close_code::TRY_AGAIN_LATER, "Odoo's bus server does not read");
}

size_t Uplink::held_bytes() const {
    return kept_.capacity() + waiting_.capacity() + (socket_ ? socket_->held_bytes() : 0);
}

} // namespace odoo_bus
