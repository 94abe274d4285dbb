// The socket between two processes of one gateway: a libuv pipe.
#include "take_over/link.h"

#include <utility>
#include <variant>

#include <sys/socket.h>

namespace odoo_bus {

namespace {

// Small messages are sent together, up to about this much.
constexpr size_t WRITE_BYTES = 256 << 10;

// The batch of a message, which is what makes one large; null: it has none.
BatchPtr batch_of(const TakeOverMessage& message) {
    const auto* const of_database = std::get_if<take_over::OfDatabase>(&message);
    if (!of_database)
        return nullptr;
    if (const auto* const kept = std::get_if<take_over::Kept>(&of_database->what))
        return kept->batch;
    const auto* const event = std::get_if<DatabaseEvent>(&of_database->what);
    const auto* const publish = event ? std::get_if<event::Publish>(event) : nullptr;
    return publish ? publish->batch : nullptr;
}

size_t cost(const TakeOverMessage& message) {
    size_t bytes = 128;
    if (const BatchPtr batch = batch_of(message))
        for (const Notification& notification : *batch)
            bytes += notification.bytes();
    return bytes;
}

} // namespace

struct TakeOverLink::Pipe {
    uv_pipe_t handle;
    uv_write_t request;
    TakeOverLink* link;
    std::string sending; // outlives the link while libuv writes it
    char buffer[256 << 10];
};

TakeOverLink::TakeOverLink(uv_loop_t* loop, int socket, OnMessage on_message, std::function<void()> on_end)
    : pipe_(new Pipe), on_message_(std::move(on_message)), on_end_(std::move(on_end)) {
    pipe_->link = this;
    pipe_->handle.data = pipe_;
    uv_pipe_init(loop, &pipe_->handle, 0);
    uv_pipe_open(&pipe_->handle, socket);
    uv_read_start(
        reinterpret_cast<uv_stream_t*>(&pipe_->handle),
        [](uv_handle_t* handle, size_t, uv_buf_t* buffer) {
            auto* const pipe = static_cast<Pipe*>(handle->data);
            *buffer = uv_buf_init(pipe->buffer, sizeof pipe->buffer);
        },
        [](uv_stream_t* stream, ssize_t length, const uv_buf_t* buffer) {
            TakeOverLink* const link = static_cast<Pipe*>(stream->data)->link;
            if (!link)
                return;
            if (length < 0)
                link->end();
            else if (length > 0)
                link->on_read(buffer->base, static_cast<size_t>(length));
        });
}

TakeOverLink::~TakeOverLink() {
    *alive_ = false;
    pipe_->link = nullptr;
    uv_close(reinterpret_cast<uv_handle_t*>(&pipe_->handle),
             [](uv_handle_t* handle) { delete static_cast<Pipe*>(handle->data); });
}

void TakeOverLink::send(TakeOverMessage message) {
    if (ended_)
        return;
    waiting_ += cost(message);
    queue_.push_back(std::move(message));
    if (!is_sending_)
        send_next();
}

// The kernel decides at one moment whether the message is with the other side: see hear_no_more().
bool TakeOverLink::send_decision(const TakeOverMessage& message) {
    if (ended_ || is_sending_)
        return false;
    std::string bytes = encode(message);
    const uv_buf_t buffer = uv_buf_init(bytes.data(), static_cast<unsigned>(bytes.size()));
    return uv_try_write(reinterpret_cast<uv_stream_t*>(&pipe_->handle), &buffer, 1) ==
           static_cast<int>(bytes.size());
}

void TakeOverLink::hear_no_more() {
    uv_os_fd_t socket;
    if (uv_fileno(reinterpret_cast<uv_handle_t*>(&pipe_->handle), &socket) == 0)
        shutdown(socket, SHUT_RD);
}

void TakeOverLink::send_next() {
    std::string& bytes = pipe_->sending;
    bytes.clear();
    while (!queue_.empty() && bytes.size() < WRITE_BYTES) {
        waiting_ -= cost(queue_.front());
        bytes += encode(queue_.front());
        queue_.pop_front();
    }
    is_sending_ = !bytes.empty();
    if (!is_sending_)
        return;
    const uv_buf_t buffer = uv_buf_init(bytes.data(), static_cast<unsigned>(bytes.size()));
    pipe_->request.data = pipe_;
    uv_write(&pipe_->request, reinterpret_cast<uv_stream_t*>(&pipe_->handle), &buffer, 1,
             [](uv_write_t* request, int status) {
                 TakeOverLink* const link = static_cast<Pipe*>(request->data)->link;
                 if (link && status == 0)
                     link->send_next(); // the end of the other side is seen by reading
             });
}

void TakeOverLink::on_read(const char* bytes, size_t length) {
    received_.append(bytes, length);
    std::string_view left(received_);
    bool damaged = false;
    // It may destroy the link.
    const std::shared_ptr<bool> alive = alive_;
    const OnMessage on_message = on_message_;
    while (const auto message = decode(left, damaged)) {
        on_message(*message);
        if (!*alive)
            return;
    }
    if (damaged)
        return end();
    received_.erase(0, received_.size() - left.size());
}

void TakeOverLink::end() {
    if (std::exchange(ended_, true))
        return;
    uv_read_stop(reinterpret_cast<uv_stream_t*>(&pipe_->handle));
    queue_.clear();
    waiting_ = 0;
    const std::function<void()> on_end = on_end_; // it may destroy the link
    on_end();
}

} // namespace odoo_bus
