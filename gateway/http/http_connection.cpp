// A connection whose request head is being read.
#include "http/http_connection.h"

#include <algorithm>
#include <atomic>
#include <cerrno>

#include <sys/socket.h>
#include <unistd.h>

namespace odoo_bus {

namespace {

// A client that is still sending would lose the answer if the connection were closed: up to this many bytes
// are read and discarded first.
constexpr size_t MAX_DISCARDED = 1 << 20;

// About what a connection takes without its head: its object, its handle, its place among the others.
constexpr size_t CONNECTION_BYTES = sizeof(HttpConnection) + sizeof(uv_poll_t) + 200;

constexpr std::string_view MEMORY_IS_FULL =
    "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";

std::atomic<uint64_t> next_number = 1; // the HTTP server and the metrics server have connections

} // namespace

HttpConnection::HttpConnection(uv_loop_t* loop, int socket, std::optional<Address> peer,
                               size_t max_head_bytes, Monotonic deadline,
                               std::function<void(HttpConnection&)> on_event)
    : on_event_(std::move(on_event)), loop_(loop), socket_(socket), peer_(peer), head_(max_head_bytes),
      deadline_(deadline), number_(next_number++) {}

bool HttpConnection::begin() {
    recharge();
    if (read())
        return true;
    watch(UV_READABLE);
    return false;
}

void HttpConnection::watch(int events) {
    if (!poll_.is_open())
        poll_.open(loop_, socket_);
    poll_.wait_for<&HttpConnection::on_ready>(events, this);
}

void HttpConnection::on_ready(int, int events) {
    if (events & UV_WRITABLE) {
        send_answer();
        if (over_)
            return on_event_(*this);
    }
    if ((events & UV_READABLE) && read())
        on_event_(*this);
}

HttpConnection::~HttpConnection() {
    if (const int socket = release(); socket >= 0)
        close(socket);
}

int HttpConnection::release() {
    over_ = true;
    poll_.close();
    return std::exchange(socket_, -1);
}

// True when on_event is due.
bool HttpConnection::read() {
    char buffer[16 * 1024];
    const bool is_ignored = answered_ || held_;
    // It is looked at again, and those that hold the most are being ended meanwhile.
    if (!is_ignored && !charge.may_add(sizeof buffer))
        return false;
    const ssize_t length = recv(socket_, buffer, sizeof buffer, 0);
    if (length < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (length <= 0 || (is_ignored && (discarded_ += static_cast<size_t>(length)) > MAX_DISCARDED)) {
        over_ = true;
        return true;
    }
    if (is_ignored)
        return false;
    const std::string_view bytes(buffer, static_cast<size_t>(length));
    const bool is_due = body_ ? body_->feed(bytes) != RequestBody::State::need_more
                              : head_.feed(bytes) != RequestHead::State::need_more;
    recharge();
    return is_due;
}

void HttpConnection::recharge() {
    charge.set(CONNECTION_BYTES + head_.held_bytes() + (body_ ? body_->held_bytes() : 0) +
               unsent_.capacity());
}

void HttpConnection::shed() {
    if (!answered_)
        send(socket_, MEMORY_IS_FULL.data(), MEMORY_IS_FULL.size(), MSG_NOSIGNAL);
    over_ = true;
}

std::optional<Response> HttpConnection::read_body(size_t max_bytes, bool takes_chunks) {
    const auto too_large = [] {
        return Response::refusal(413, "The body is too large (--max-message-bytes).");
    };
    if (!body_) {
        const uint64_t length = head_.content_length().value_or(0);
        if (head_.is_chunked() && !takes_chunks)
            return Response::refusal(411, "The body must have a Content-Length.");
        if (head_.is_chunked() && !equal_ignoring_case(head_.joined("transfer-encoding"), "chunked"))
            return Response::refusal(501, "The only transfer encoding of a body is chunked.");
        if (head_.method() == "POST" && !head_.content_length() && !head_.is_chunked())
            return Response::refusal(411, "A POST must have a Content-Length.");
        if (length > max_bytes)
            return too_large();
        await_body(head_.is_chunked() ? RequestBody::in_chunks(max_bytes) : RequestBody::of_length(length));
    }
    switch (body_->state()) {
    case RequestBody::State::malformed:
        return Response::refusal(400, "The body is not a sequence of chunks as Transfer-Encoding says.");
    case RequestBody::State::too_large:
        return too_large();
    case RequestBody::State::need_more:
    case RequestBody::State::complete:
        break;
    }
    return std::nullopt;
}

void HttpConnection::await_body(const RequestBody& body) {
    body_ = std::make_unique<RequestBody>(body);
    if (body_->feed(head_.rest()) != RequestBody::State::need_more)
        return;
    constexpr std::string_view CONTINUE = "HTTP/1.1 100 Continue\r\n\r\n";
    if (equal_ignoring_case(head_.first("expect").value_or(""), "100-continue"))
        send(socket_, CONTINUE.data(), CONTINUE.size(), MSG_NOSIGNAL);
    watch(UV_READABLE);
}

void HttpConnection::time_out() {
    timed_out_ = true;
    head_.time_out();
}

void HttpConnection::answer(const Response& response, Monotonic deadline) {
    unsent_ = response.to_string(head_.state() == RequestHead::State::complete && head_.method() == "HEAD");
    answered_ = true;
    deadline_ = deadline;
    body_.reset();
    send_answer();
    recharge();
}

// A short answer fits into a fresh connection's send buffer; a long one is sent in pieces.
void HttpConnection::send_answer() {
    const ssize_t length = send(socket_, unsent_.data(), unsent_.size(), MSG_NOSIGNAL);
    if (length < 0 && errno != EAGAIN && errno != EINTR) {
        over_ = true;
        return;
    }
    unsent_.erase(0, static_cast<size_t>(std::max<ssize_t>(length, 0)));
    if (!unsent_.empty())
        return watch(UV_READABLE | UV_WRITABLE);
    shutdown(socket_, SHUT_WR);
    watch(UV_READABLE);
}

} // namespace odoo_bus
