// A client's socket on a service thread's loop.
#include "clients/socket_writer.h"

#include <cerrno>
#include <utility>

#include <sys/socket.h>
#include <unistd.h>

namespace odoo_bus {

namespace {

// What a client sends after its request is thrown away, so much at the most.
constexpr size_t MAX_RECEIVED = 1 << 20;

} // namespace

SocketWriter::SocketWriter(uv_loop_t* loop, int socket, Owner& owner)
    : owner_(owner), poll_(new uv_poll_t), socket_(socket) {
    uv_poll_init(loop, poll_, socket);
    poll_->data = this;
    watch();
}

SocketWriter::~SocketWriter() {
    uv_poll_stop(poll_);
    uv_close(reinterpret_cast<uv_handle_t*>(poll_),
             [](uv_handle_t* closed) { delete reinterpret_cast<uv_poll_t*>(closed); });
    close(socket_);
}

void SocketWriter::watch() {
    const bool writes = !waiting_.empty() || wants_drained_ || state_ == State::finishing;
    uv_poll_start(poll_, UV_READABLE | UV_DISCONNECT | (writes ? UV_WRITABLE : 0),
                  [](uv_poll_t* poll, int status, int events) {
                      static_cast<SocketWriter*>(poll->data)->on_event(status, events);
                  });
}

void SocketWriter::on_event(int status, int events) {
    if (status < 0 || ((events & (UV_READABLE | UV_DISCONNECT)) && !receive()))
        return owner_.on_gone();
    if (!(events & UV_WRITABLE))
        return;
    flush();
    const bool drained = wants_drained_ && waiting_.empty();
    if (drained)
        wants_drained_ = false;
    watch();
    if (drained && state_ == State::open)
        owner_.on_drained();
}

bool SocketWriter::receive() {
    char buffer[4096];
    const ssize_t length = recv(socket_, buffer, sizeof buffer, 0);
    if (length < 0)
        return errno == EAGAIN || errno == EINTR;
    return length > 0 && (received_ += static_cast<size_t>(length)) <= MAX_RECEIVED;
}

void SocketWriter::flush() {
    if (!waiting_.empty()) {
        const ssize_t length = ::send(socket_, waiting_.data(), waiting_.size(), MSG_NOSIGNAL);
        if (length > 0)
            waiting_.erase(0, static_cast<size_t>(length));
        if (waiting_.empty())
            waiting_ = {}; // with its memory
    }
    if (state_ == State::finishing && waiting_.empty()) {
        state_ = State::finished;
        shutdown(socket_, SHUT_WR);
    }
}

void SocketWriter::send(std::string_view bytes) {
    if (state_ != State::open)
        return;
    if (waiting_.empty()) {
        const ssize_t length = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (length > 0)
            bytes.remove_prefix(static_cast<size_t>(length));
        if (bytes.empty())
            return;
    }
    waiting_ += bytes;
    watch();
}

void SocketWriter::want_drained() {
    if (!std::exchange(wants_drained_, true))
        watch();
}

void SocketWriter::drop() {
    waiting_ = {};
    state_ = State::finished;
    shutdown(socket_, SHUT_RDWR);
    watch();
}

void SocketWriter::finish() {
    if (state_ == State::open)
        state_ = State::finishing;
    flush();
    watch();
}

} // namespace odoo_bus
