// A client's socket on a service thread's loop.
#include "clients/socket_writer.h"

#include <cerrno>
#include <utility>

#include <sys/socket.h>
#include <unistd.h>

namespace odoo_bus {

namespace {

// Bytes that a client may send after its request; they are discarded. More end the connection.
constexpr size_t MAX_RECEIVED = 1 << 20;

} // namespace

SocketWriter::SocketWriter(uv_loop_t* loop, int socket, Owner& owner) : owner_(owner), socket_(socket) {
    poll_.open(loop, socket);
    watch();
}

SocketWriter::~SocketWriter() {
    poll_.close();
    close(socket_);
}

void SocketWriter::watch() {
    const bool writes = !waiting_.empty() || wants_drained_ || state_ == State::finishing;
    poll_.wait_for<&SocketWriter::on_event>(UV_READABLE | UV_DISCONNECT | (writes ? UV_WRITABLE : 0), this);
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
