// The HTTP client for Odoo: one HTTP/1.1 request on one connection.
//
// Not by libcurl, which cannot keep a bound: when the host's name is not resolved within the time-out,
// removing the transfer waits for the resolver's thread, and this loop with it (libcurl 7.74 of Debian
// 11; 7.87 and later need CURLOPT_QUICK_EXIT). Nor would HttpAnswer go, which is stricter than libcurl and
// has a fuzz target.
//
// libuv's handles and requests live in a Lookup and in Wires, which delete themselves when libuv has let go
// of them: that may be after the call has ended.
#include "auth/odoo/odoo_client.h"

#include <netdb.h>
#include <spdlog/fmt/fmt.h>

namespace odoo_bus {

class OdooClient::Call {
public:
    Call(OdooClient& client, std::string request, uint64_t timeout_ms, HttpAnswer::Bounds bounds,
         OnAnswer on_answer)
        : client_(client), request_(std::make_shared<std::string>(std::move(request))), answer_(bounds),
          on_answer_(std::move(on_answer)), deadline_(client.loop_), patience_(client.loop_),
          timeout_ms_(timeout_ms) {
        deadline_.start(timeout_ms, [this] {
            end(fmt::format("no answer within {} s", static_cast<double>(timeout_ms_) / 1000));
        });
        resolve();
    }

    ~Call() {
        if (lookup_) {
            lookup_->call = nullptr;
            uv_cancel(reinterpret_cast<uv_req_t*>(&lookup_->request));
        }
        hang_up();
        uv_freeaddrinfo(addresses_);
    }

private:
    struct Lookup {
        Call* call; // null once it has ended
        uv_getaddrinfo_t request = {};
    };
    struct Wire {
        Call* call;                           // null once it has hung up
        std::shared_ptr<std::string> request; // outlives the call while it is written
        unsigned users = 1;
        uv_tcp_t socket = {};
        uv_connect_t connect = {};
        uv_write_t write = {};
        char buffer[16 * 1024] = {};
    };

    static void let_go(Wire* wire) {
        if (--wire->users == 0)
            delete wire;
    }

    void resolve() {
        lookup_ = new Lookup{this};
        lookup_->request.data = lookup_;
        addrinfo hints = {};
        hints.ai_socktype = SOCK_STREAM;
        hints.ai_flags = AI_ADDRCONFIG;
        const int error =
            uv_getaddrinfo(client_.loop_, &lookup_->request, resolved, client_.url_.host.c_str(),
                           std::to_string(client_.url_.port).c_str(), &hints);
        if (error == 0)
            return;
        delete std::exchange(lookup_, nullptr);
        deadline_.start(0, [this, error] { end(uv_strerror(error)); });
    }

    static void resolved(uv_getaddrinfo_t* request, int status, addrinfo* addresses) {
        const std::unique_ptr<Lookup> lookup(static_cast<Lookup*>(request->data));
        Call* const call = lookup->call;
        if (!call)
            return uv_freeaddrinfo(addresses);
        call->lookup_ = nullptr;
        if (status != 0)
            return call->end(fmt::format("its address cannot be found: {}", uv_strerror(status)));
        call->addresses_ = call->next_ = addresses;
        for (const addrinfo* each = addresses; each; each = each->ai_next)
            ++call->address_count_;
        call->connect_next({});
    }

    // Tries the next address, of which each has an equal share of the time, or ends with the former problem.
    void connect_next(const std::string& problem) {
        hang_up();
        if (!next_)
            return end(fmt::format("no connection: {}", problem));
        const addrinfo& address = *std::exchange(next_, next_->ai_next);
        wire_ = new Wire{this, request_};
        uv_tcp_init(client_.loop_, &wire_->socket);
        wire_->socket.data = wire_->connect.data = wire_->write.data = wire_;
        uv_tcp_nodelay(&wire_->socket, 1);
        patience_.start(next_ ? timeout_ms_ / address_count_ : timeout_ms_,
                        [this] { connect_next(uv_strerror(UV_ETIMEDOUT)); });
        const int error = uv_tcp_connect(&wire_->connect, &wire_->socket, address.ai_addr, connected);
        if (error == 0)
            ++wire_->users;
        else
            patience_.start(0, [this, error] { connect_next(uv_strerror(error)); });
    }

    static void connected(uv_connect_t* request, int status) {
        auto* const wire = static_cast<Wire*>(request->data);
        if (wire->call && status == 0)
            wire->call->send();
        else if (wire->call)
            wire->call->connect_next(uv_strerror(status));
        let_go(wire);
    }

    void hang_up() {
        patience_.stop();
        if (Wire* const wire = std::exchange(wire_, nullptr)) {
            wire->call = nullptr;
            uv_close(reinterpret_cast<uv_handle_t*>(&wire->socket),
                     [](uv_handle_t* socket) { let_go(static_cast<Wire*>(socket->data)); });
        }
    }

    void send() {
        patience_.stop();
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
    Timer patience_; // of one address
    const uint64_t timeout_ms_;
    Lookup* lookup_ = nullptr;
    addrinfo* addresses_ = nullptr;
    addrinfo* next_ = nullptr;
    unsigned address_count_ = 0;
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
