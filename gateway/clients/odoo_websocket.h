// A WebSocket to Odoo's own bus server (--odoo-websocket), on the loop of a service thread.
//
// Not by libwebsockets: its client resolves names on the loop, tries one address, builds the request in a
// buffer that a browser's cookies exceed, and hides the fragments of a message. Here a message of any length
// is read in pieces, and nothing is read while the owner does not take any.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <uv.h>

#include "base/clock.h"
#include "base/socket_poll.h"
#include "base/tcp_connector.h"
#include "config/options.h"
#include "http/http_answer.h"
#include "protocol/websocket_frame.h"

namespace odoo_bus {

class OdooWebSocket {
public:
    class Owner {
    public:
        virtual void on_opened(const HttpAnswer& answer) = 0;
        // A piece of a message.
        virtual void on_piece(FramePiece piece) = 0;
        // Everything that was sent has left.
        virtual void on_drained() = 0;
        // It does not come about, or ends; nothing is called any more. `problem`: empty when Odoo ends it
        // regularly, with this status. Without a close frame the code is NO_FRAME.
        virtual void on_ended(const CloseStatus& status, const std::string& problem) = 0;

    protected:
        ~Owner() = default;
    };

    // `key`: the Sec-WebSocket-Key of the request.
    OdooWebSocket(uv_loop_t* loop, const Options& options, std::string request, std::string_view key,
                  Owner& owner);
    ~OdooWebSocket();
    OdooWebSocket(const OdooWebSocket&) = delete;
    OdooWebSocket& operator=(const OdooWebSocket&) = delete;

    bool is_open() const { return state_ == State::open; }
    // Whole frames, as masked_frame() makes them. Once it is open.
    void send(std::string_view frames);
    // Bytes that wait for the socket.
    size_t waiting() const { return unsent_.size(); }
    size_t held_bytes() const { return unsent_.capacity() + reader_.held_bytes(); }
    void pause();
    void resume();

    // The owner goes: ends the connection, with a close frame unless the code is NO_FRAME.
    void part(const CloseStatus& status);
    // Nothing is left to be done.
    bool is_over() const { return state_ == State::over; }

    // About once a second: time-outs, pings.
    void tick(Monotonic now);

private:
    enum class State : uint8_t { connecting, shaking_hands, open, closing, over };

    void connected(int socket, const std::string& problem);
    void watch();
    void on_event(int status, int events);
    void receive();
    void received(std::string_view bytes);
    void judge_answer();
    void take_frames(std::string_view bytes);
    void take_control(const FramePiece& piece);
    void flush();
    void write_close(const CloseStatus& status);
    void tell(const CloseStatus& status, const std::string& problem);
    void fail(const std::string& problem);
    void hang_up();

    uv_loop_t* const loop_;
    Owner* owner_; // null once it has gone, or was told of the end
    const Milliseconds ping_interval_, pong_timeout_;
    struct Handshake {
        std::string request, accept;
        HttpAnswer answer;
        std::optional<TcpConnector> connector;
    };
    std::unique_ptr<Handshake> handshake_; // until it is open
    State state_ = State::connecting;
    bool is_paused_ = false;
    int socket_ = -1;
    SocketPoll poll_; // of socket_
    std::string unsent_;
    FrameReader reader_;
    Monotonic deadline_; // of what is not open
    Monotonic heard_;
    std::optional<Monotonic> pinged_;
};

} // namespace odoo_bus
