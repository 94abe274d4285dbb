// A connection whose request head is being read.
#include "visitor.h"

#include <cerrno>

#include <sys/socket.h>
#include <unistd.h>

namespace odoo_bus {

namespace {

// A client that is still sending would lose the answer if the connection were closed on it: what it sends is
// read and thrown away, so much at the most.
constexpr size_t MAX_DISCARDED = 1 << 20;

} // namespace

Visitor::Visitor(uv_loop_t* loop, int socket, std::optional<Address> peer, size_t max_head_bytes,
                 int64_t deadline_us, std::function<void(Visitor&)> on_event)
    : on_event_(std::move(on_event)), poll_(new uv_poll_t), socket_(socket), peer_(peer),
      head_(max_head_bytes), deadline_us_(deadline_us) {
    uv_poll_init(loop, poll_, socket);
    poll_->data = this;
    uv_poll_start(poll_, UV_READABLE,
                  [](uv_poll_t* poll, int, int) { static_cast<Visitor*>(poll->data)->on_readable(); });
}

Visitor::~Visitor() {
    if (const int socket = release(); socket >= 0)
        close(socket);
}

int Visitor::release() {
    over_ = true;
    if (poll_) {
        uv_poll_stop(poll_);
        uv_close(reinterpret_cast<uv_handle_t*>(poll_),
                 [](uv_handle_t* closed) { delete reinterpret_cast<uv_poll_t*>(closed); });
    }
    poll_ = nullptr;
    return std::exchange(socket_, -1);
}

void Visitor::on_readable() {
    char buffer[16 * 1024];
    const ssize_t length = recv(socket_, buffer, sizeof buffer, 0);
    if (length < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (length <= 0 || (answered_ && (discarded_ += static_cast<size_t>(length)) > MAX_DISCARDED)) {
        over_ = true;
        return on_event_(*this);
    }
    if (!answered_ && head_.feed({buffer, static_cast<size_t>(length)}) != RequestHead::State::need_more)
        on_event_(*this);
}

void Visitor::answer(const Response& response, int64_t deadline_us) {
    const std::string text =
        response.to_string(head_.state() == RequestHead::State::complete && head_.method() == "HEAD");
    // A fresh connection's buffer takes a short answer whole.
    if (send(socket_, text.data(), text.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(text.size()))
        over_ = true;
    shutdown(socket_, SHUT_WR);
    answered_ = true;
    deadline_us_ = deadline_us;
}

} // namespace odoo_bus
