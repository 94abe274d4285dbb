// Asks Odoo: one HTTP/1.1 request on one connection.
//
// libuv's handles and requests live in a Wire of their own, which is deleted when libuv has let go of all of
// them: that may be after the call has ended.
#include "auth/odoo/odoo_client.h"

#include <netdb.h>
#include <spdlog/fmt/fmt.h>

namespace odoo_bus {

class OdooClient::Call {
public:
    Call(OdooClient& client, std::string request, uint64_t timeout_ms, HttpAnswer::Bounds bounds,
         OnAnswer on_answer)
        : client_(client), answer_(bounds), on_answer_(std::move(on_answer)), deadline_(client.loop_),
          wire_(new Wire{this, std::move(request)}) {
        deadline_.start(timeout_ms, [this, timeout_ms] {
            end(fmt::format("no answer within {} s", static_cast<double>(timeout_ms) / 1000));
        });
        wire_->resolve.data = wire_;
        addrinfo hints = {};
        hints.ai_socktype = SOCK_STREAM;
        hints.ai_flags = AI_ADDRCONFIG;
        const int error = uv_getaddrinfo(client.loop_, &wire_->resolve, resolved, client.url_.host.c_str(),
                                         std::to_string(client.url_.port).c_str(), &hints);
        if (error != 0)
            end_soon(uv_strerror(error));
        else
            ++wire_->users;
    }

    ~Call() {
        wire_->call = nullptr;
        uv_cancel(reinterpret_cast<uv_req_t*>(&wire_->resolve));
        if (wire_->is_open)
            uv_close(reinterpret_cast<uv_handle_t*>(&wire_->socket),
                     [](uv_handle_t* socket) { let_go(static_cast<Wire*>(socket->data)); });
        let_go(wire_); // the call's own use
    }

private:
    struct Wire {
        Call* call; // null once it has ended
        std::string request;
        unsigned users = 1;
        bool is_open = false;
        uv_getaddrinfo_t resolve = {};
        uv_tcp_t socket = {};
        uv_connect_t connect = {};
        uv_write_t write = {};
        char buffer[16 * 1024] = {};
    };

    static void let_go(Wire* wire) {
        if (--wire->users == 0)
            delete wire;
    }

    static void resolved(uv_getaddrinfo_t* request, int status, addrinfo* addresses) {
        auto* const wire = static_cast<Wire*>(request->data);
        if (wire->call) {
            if (status == 0)
                wire->call->connect(*addresses->ai_addr);
            else
                wire->call->end(fmt::format("its address cannot be found: {}", uv_strerror(status)));
        }
        uv_freeaddrinfo(addresses);
        let_go(wire);
    }

    void connect(const sockaddr& address) {
        uv_tcp_init(client_.loop_, &wire_->socket);
        wire_->socket.data = wire_;
        wire_->is_open = true;
        ++wire_->users; // until the handle is closed
        uv_tcp_nodelay(&wire_->socket, 1);
        wire_->connect.data = wire_;
        const auto connected = [](uv_connect_t* request, int status) {
            auto* const wire = static_cast<Wire*>(request->data);
            if (wire->call && status == 0)
                wire->call->send();
            else if (wire->call)
                wire->call->end(fmt::format("no connection: {}", uv_strerror(status)));
            let_go(wire);
        };
        if (const int error = uv_tcp_connect(&wire_->connect, &wire_->socket, &address, connected);
            error != 0)
            return end(fmt::format("no connection: {}", uv_strerror(error)));
        ++wire_->users;
    }

    void send() {
        auto* const stream = reinterpret_cast<uv_stream_t*>(&wire_->socket);
        const uv_buf_t bytes =
            uv_buf_init(wire_->request.data(), static_cast<unsigned>(wire_->request.size()));
        wire_->write.data = wire_;
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

    void end_soon(std::string problem) {
        deadline_.start(0, [this, problem = std::move(problem)] { end(problem); });
    }

    // Deletes this call.
    void end(const std::string& problem) {
        const auto self = std::move(client_.calls_.extract(this).mapped());
        on_answer_(problem.empty() ? &answer_ : nullptr, problem);
    }

    OdooClient& client_;
    HttpAnswer answer_;
    const OnAnswer on_answer_;
    Timer deadline_;
    Wire* const wire_;
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
