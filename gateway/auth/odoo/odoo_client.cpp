// The HTTP client for Odoo: one HTTP/1.1 request on one connection.
//
// Not by libcurl, which cannot keep a bound: when the host's name is not resolved within the time-out,
// removing the transfer waits for the resolver's thread, and this loop with it (libcurl 7.74 of Debian
// 11; 7.87 and later need CURLOPT_QUICK_EXIT). Nor would HttpAnswer go, which is stricter than libcurl and
// has a fuzz target.
//
// libuv's handle and requests live in a Wire, which deletes itself when libuv has let go of them: that may be
// after the call has ended.
#include "auth/odoo/odoo_client.h"

#include <spdlog/fmt/fmt.h>

#include "base/tcp_connector.h"

namespace odoo_bus {

class OdooClient::Call {
public:
    Call(OdooClient& client, std::string request, uint64_t timeout_ms, HttpAnswer::Bounds bounds,
         OnAnswer on_answer)
        : client_(client), request_(std::make_shared<std::string>(std::move(request))), answer_(bounds),
          on_answer_(std::move(on_answer)), deadline_(client.loop_),
          connector_(client.loop_, client.url_.host, client.url_.port, timeout_ms,
                     [this](int socket, const std::string& problem) {
                         if (socket < 0)
                             end(problem);
                         else
                             send(socket);
                     }) {
        deadline_.start(timeout_ms, [this, timeout_ms] {
            end(fmt::format("no answer within {} s", static_cast<double>(timeout_ms) / 1000));
        });
    }

    ~Call() {
        if (!wire_)
            return;
        wire_->call = nullptr;
        uv_close(reinterpret_cast<uv_handle_t*>(&wire_->socket),
                 [](uv_handle_t* socket) { let_go(static_cast<Wire*>(socket->data)); });
    }

private:
    struct Wire {
        Call* call;                           // null once it has ended
        std::shared_ptr<std::string> request; // outlives the call while it is written
        unsigned users = 1;
        uv_tcp_t socket = {};
        uv_write_t write = {};
        char buffer[16 * 1024] = {};
    };

    static void let_go(Wire* wire) {
        if (--wire->users == 0)
            delete wire;
    }

    void send(int connected) {
        wire_ = new Wire{this, request_};
        uv_tcp_init(client_.loop_, &wire_->socket);
        wire_->socket.data = wire_->write.data = wire_;
        uv_tcp_open(&wire_->socket, connected);
        auto* const stream = reinterpret_cast<uv_stream_t*>(&wire_->socket);
        const uv_buf_t bytes = uv_buf_init(request_->data(), static_cast<unsigned>(request_->size()));
        // A failure to write shows when the answer is read.
        const auto written = [](uv_write_t* request, int) { let_go(static_cast<Wire*>(request->data)); };
        if (uv_write(&wire_->write, stream, &bytes, 1, written) == 0)
            ++wire_->users;
        uv_read_start(
            stream,
            [](uv_handle_t* socket, size_t, uv_buf_t* buffer) {
                auto* const wire = static_cast<Wire*>(socket->data);
                *buffer = uv_buf_init(wire->buffer, sizeof wire->buffer);
            },
            [](uv_stream_t* socket, ssize_t length, const uv_buf_t* buffer) {
                if (Call* const call = static_cast<Wire*>(socket->data)->call)
                    call->received(length, buffer->base);
            });
    }

    void received(ssize_t length, const char* bytes) {
        if (length == 0)
            return;
        const auto state = length > 0 ? answer_.feed({bytes, static_cast<size_t>(length)}) : answer_.end();
        if (state == HttpAnswer::State::complete)
            end({});
        else if (state == HttpAnswer::State::broken)
            end(answer_.problem());
        else if (length < 0)
            end(uv_strerror(static_cast<int>(length)));
    }

    // Deletes this call.
    void end(const std::string& problem) {
        const auto self = std::move(client_.calls_.extract(this).mapped());
        on_answer_(problem.empty() ? &answer_ : nullptr, problem);
    }

    OdooClient& client_;
    const std::shared_ptr<std::string> request_;
    HttpAnswer answer_;
    const OnAnswer on_answer_;
    Timer deadline_; // of the whole call
    TcpConnector connector_;
    Wire* wire_ = nullptr;
};

OdooClient::OdooClient(uv_loop_t* loop, OdooUrl url) : loop_(loop), url_(std::move(url)) {}

OdooClient::~OdooClient() = default;

void OdooClient::ask(std::string request, uint64_t timeout_ms, HttpAnswer::Bounds bounds,
                     OnAnswer on_answer) {
    auto call = std::make_unique<Call>(*this, std::move(request), timeout_ms, bounds, std::move(on_answer));
    Call* const key = call.get();
    calls_.emplace(key, std::move(call));
}

} // namespace odoo_bus
