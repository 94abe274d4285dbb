// The socket between two processes of one gateway, on a libuv loop: messages in both directions, in order.
//
// What waits to be sent is kept as messages, whose batches are shared with the history, and becomes bytes
// when the other side has taken what was before it.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>

#include <uv.h>

#include "take_over/message.h"

namespace odoo_bus {

class TakeOverLink {
public:
    using OnMessage = std::function<void(const TakeOverMessage& message)>;

    // `on_end`: the other side has ended, or has sent what cannot be decoded. Both callbacks may destroy the
    // link.
    TakeOverLink(uv_loop_t* loop, int socket, OnMessage on_message, std::function<void()> on_end);
    ~TakeOverLink();
    TakeOverLink(const TakeOverLink&) = delete;
    TakeOverLink& operator=(const TakeOverLink&) = delete;

    // When nothing waits, the first bytes are in the kernel on return.
    void send(TakeOverMessage message);
    // As send(), for a small message while nothing waits. False when the other side will never read it.
    bool send_decision(const TakeOverMessage& message);
    // What the other side has sent is still read; what it tries to send from now on fails there. Then the
    // link ends.
    void hear_no_more();
    // Bytes that wait for the other side, approximately.
    size_t waiting() const { return waiting_; }

private:
    struct Pipe;

    void send_next();
    void on_read(const char* bytes, size_t length);
    void end();

    Pipe* pipe_; // frees itself when it is closed
    const OnMessage on_message_;
    const std::function<void()> on_end_;
    std::deque<TakeOverMessage> queue_;
    size_t waiting_ = 0;
    bool is_sending_ = false;
    bool ended_ = false;
    std::string received_;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

} // namespace odoo_bus
