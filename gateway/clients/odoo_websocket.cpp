// A WebSocket to Odoo's own bus server.
#include "clients/odoo_websocket.h"

#include <array>
#include <cerrno>
#include <utility>
#include <vector>

#include <spdlog/fmt/fmt.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http/handshake.h"
#include "protocol/close_codes.h"

namespace odoo_bus {

namespace {

constexpr HttpAnswer::Bounds ANSWER{.head_bytes = 32 << 10, .body_bytes = 64 << 10, .may_switch = true};

// A longer message is passed on in several pieces.
constexpr size_t MAX_PIECE = 64 << 10;

// How long Odoo may take to answer a close frame.
constexpr Duration CLOSE_WITHIN = std::chrono::seconds(5);

const CloseStatus NO_CLOSE_FRAME{close_code::NO_FRAME, {}};

} // namespace

OdooWebSocket::OdooWebSocket(uv_loop_t* loop, const Options& options, std::string request,
                             std::string_view key, Owner& owner)
    : loop_(loop), owner_(&owner), ping_interval_(options.ping_interval), pong_timeout_(options.pong_timeout),
      handshake_(new Handshake{std::move(request), websocket_accept(key), HttpAnswer(ANSWER), {}}),
      reader_(MAX_PIECE), deadline_(MonotonicClock::now() + options.odoo_timeout) {
    const OdooUrl& url = *options.odoo_websocket;
    handshake_->connector.emplace(
        loop, url.host, url.port, static_cast<uint64_t>(options.odoo_timeout.count()),
        [this](int connected_socket, const std::string& problem) { connected(connected_socket, problem); });
}

OdooWebSocket::~OdooWebSocket() {
    hang_up();
}

void OdooWebSocket::connected(int socket, const std::string& problem) {
    if (socket < 0)
        return fail(problem);
    socket_ = socket;
    poll_.open(loop_, socket_);
    state_ = State::shaking_hands;
    unsent_ = std::exchange(handshake_->request, {});
    flush();
}

void OdooWebSocket::watch() {
    if (poll_.is_open())
        poll_.wait_for<&OdooWebSocket::on_event>(
            (is_paused_ ? 0 : UV_READABLE) | (unsent_.empty() ? 0 : UV_WRITABLE), this);
}

void OdooWebSocket::on_event(int status, int events) {
    if (status < 0)
        return fail(uv_strerror(status));
    if (events & UV_WRITABLE)
        flush();
    if (events & UV_READABLE)
        receive();
}

void OdooWebSocket::receive() {
    static thread_local std::array<char, 64 << 10> buffer;
    if (socket_ < 0)
        return;
    const ssize_t length = recv(socket_, buffer.data(), buffer.size(), 0);
    if (length > 0)
        return received({buffer.data(), static_cast<size_t>(length)});
    if (length < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    const bool is_cut = state_ == State::shaking_hands;
    const int error = length < 0 ? -errno : 0;
    hang_up();
    // Once it is open, a reset is one of the ways in which Odoo ends it.
    tell(NO_CLOSE_FRAME, !is_cut      ? ""
                         : error != 0 ? uv_strerror(error)
                                      : "the connection was closed during the handshake");
}

void OdooWebSocket::received(std::string_view bytes) {
    heard_ = MonotonicClock::now();
    if (state_ != State::shaking_hands)
        return take_frames(bytes);
    handshake_->answer.feed(bytes);
    if (handshake_->answer.state() != HttpAnswer::State::need_more || handshake_->answer.status() != 0)
        judge_answer();
}

// Its status is known, or that it has none.
void OdooWebSocket::judge_answer() {
    const auto handshake = std::move(handshake_);
    const HttpAnswer& answer = handshake->answer;
    if (answer.state() == HttpAnswer::State::broken)
        return fail(answer.problem());
    if (answer.status() != 101)
        return fail(fmt::format("the handshake is answered with {}", answer.status()));
    if (answer.all("sec-websocket-accept") != std::vector<std::string_view>{handshake->accept})
        return fail("the handshake is answered with the Sec-WebSocket-Accept of another one");
    state_ = State::open;
    owner_->on_opened(answer);
    take_frames(answer.body());
}

void OdooWebSocket::take_frames(std::string_view bytes) {
    while (state_ == State::open || state_ == State::closing) {
        auto piece = reader_.next(bytes);
        if (!piece)
            break;
        if (piece->is_control())
            take_control(*piece);
        else if (owner_)
            owner_->on_piece(std::move(*piece));
    }
    if (!reader_.is_broken() || state_ != State::open)
        return;
    write_close({close_code::PROTOCOL_ERROR, {}});
    tell(NO_CLOSE_FRAME, "it does not speak WebSocket");
}

void OdooWebSocket::take_control(const FramePiece& piece) {
    if (piece.opcode == Opcode::ping && state_ == State::open)
        send(masked_frame(Opcode::pong, piece.payload));
    if (piece.opcode == Opcode::pong)
        pinged_.reset();
    if (piece.opcode != Opcode::close)
        return;
    if (state_ == State::closing)
        return hang_up(); // it has answered
    const auto status = parse_close(piece.payload);
    write_close({status ? status->code : close_code::PROTOCOL_ERROR, {}});
    tell(status.value_or(NO_CLOSE_FRAME), status ? "" : "its close frame is malformed");
}

void OdooWebSocket::send(std::string_view frames) {
    const bool had_none = unsent_.empty();
    unsent_ += frames;
    if (had_none)
        flush();
}

void OdooWebSocket::flush() {
    if (socket_ < 0)
        return;
    if (!unsent_.empty()) {
        const ssize_t length = ::send(socket_, unsent_.data(), unsent_.size(), MSG_NOSIGNAL);
        // A failure shows when it is read.
        if (length > 0)
            unsent_.erase(0, static_cast<size_t>(length));
        else if (length < 0 && errno != EAGAIN && errno != EINTR)
            unsent_.clear();
        if (unsent_.empty())
            unsent_ = {}; // with its memory
    }
    watch();
    if (unsent_.empty() && state_ == State::open && owner_)
        owner_->on_drained();
}

void OdooWebSocket::pause() {
    if (!std::exchange(is_paused_, true))
        watch();
}

void OdooWebSocket::resume() {
    if (std::exchange(is_paused_, false))
        watch();
}

void OdooWebSocket::write_close(const CloseStatus& status) {
    state_ = State::closing;
    deadline_ = MonotonicClock::now() + CLOSE_WITHIN;
    send(masked_frame(Opcode::close, close_payload(status)));
}

void OdooWebSocket::part(const CloseStatus& status) {
    owner_ = nullptr;
    if (state_ == State::open && status.code != close_code::NO_FRAME) {
        write_close(status);
        resume(); // until Odoo closes, too
    } else if (state_ != State::closing) {
        hang_up();
    }
}

void OdooWebSocket::tell(const CloseStatus& status, const std::string& problem) {
    if (Owner* const owner = std::exchange(owner_, nullptr))
        owner->on_ended(status, problem);
}

void OdooWebSocket::fail(const std::string& problem) {
    hang_up();
    tell(NO_CLOSE_FRAME, problem);
}

void OdooWebSocket::hang_up() {
    state_ = State::over;
    if (handshake_)
        handshake_->connector.reset();
    poll_.close();
    if (socket_ >= 0)
        close(std::exchange(socket_, -1));
}

void OdooWebSocket::tick(Monotonic now) {
    if (state_ == State::over)
        return;
    if (state_ == State::closing)
        return now > deadline_ ? hang_up() : void();
    if (state_ != State::open)
        return now > deadline_ ? fail("no answer in time") : void();
    if (is_paused_) {
        heard_ = now; // what it says is not read
        pinged_.reset();
    } else if (pinged_ && now - *pinged_ > pong_timeout_) {
        fail("it does not answer a ping");
    } else if (!pinged_ && now - heard_ > ping_interval_) {
        pinged_ = now;
        send(masked_frame(Opcode::ping, {}));
    }
}

} // namespace odoo_bus
