// Connects to the first address of a host that can be connected to.
#include "base/tcp_connector.h"

#include <cerrno>
#include <memory>
#include <utility>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <spdlog/fmt/fmt.h>
#include <sys/socket.h>
#include <unistd.h>

namespace odoo_bus {

struct TcpConnector::Lookup {
    TcpConnector* connector; // null once it has gone
    uv_getaddrinfo_t request = {};
};

TcpConnector::TcpConnector(uv_loop_t* loop, const std::string& host, uint16_t port, uint64_t timeout_ms,
                           OnConnected on_connected)
    : loop_(loop), on_connected_(std::move(on_connected)), patience_(loop), timeout_ms_(timeout_ms),
      lookup_(new Lookup{this}) {
    lookup_->request.data = lookup_;
    addrinfo hints = {};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_ADDRCONFIG;
    const int error = uv_getaddrinfo(loop_, &lookup_->request, resolved, host.c_str(),
                                     std::to_string(port).c_str(), &hints);
    if (error == 0)
        return;
    delete std::exchange(lookup_, nullptr);
    connect_later(error);
}

TcpConnector::~TcpConnector() {
    if (lookup_) {
        lookup_->connector = nullptr;
        uv_cancel(reinterpret_cast<uv_req_t*>(&lookup_->request));
    }
    hang_up();
    uv_freeaddrinfo(addresses_);
}

void TcpConnector::resolved(uv_getaddrinfo_t* request, int status, addrinfo* addresses) {
    const std::unique_ptr<Lookup> lookup(static_cast<Lookup*>(request->data));
    TcpConnector* const self = lookup->connector;
    if (!self)
        return uv_freeaddrinfo(addresses);
    self->lookup_ = nullptr;
    if (status != 0)
        return self->end(-1, fmt::format("its address cannot be found: {}", uv_strerror(status)));
    self->addresses_ = addresses;
    self->next_ = addresses;
    for (const addrinfo* each = addresses; each; each = each->ai_next)
        ++self->address_count_;
    self->connect_next({});
}

void TcpConnector::connect_later(int error) {
    patience_.start(0, [this, error] { connect_next(uv_strerror(error)); });
}

// Tries the next address, of which each has an equal share of the time, or ends with the former problem.
void TcpConnector::connect_next(const std::string& problem) {
    hang_up();
    if (!next_)
        return end(-1, fmt::format("no connection: {}", problem));
    const addrinfo& address = *std::exchange(next_, next_->ai_next);
    socket_ = socket(address.ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (socket_ < 0)
        return connect_later(-errno);
    const int on = 1;
    setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(socket_, address.ai_addr, address.ai_addrlen) != 0 && errno != EINPROGRESS)
        return connect_later(-errno);
    patience_.start(next_ ? timeout_ms_ / address_count_ : timeout_ms_,
                    [this] { connect_next(uv_strerror(UV_ETIMEDOUT)); });
    poll_.open(loop_, socket_);
    poll_.wait_for<&TcpConnector::on_writable>(UV_WRITABLE, this);
}

void TcpConnector::on_writable(int status, int) {
    int error = 0;
    socklen_t length = sizeof error;
    getsockopt(socket_, SOL_SOCKET, SO_ERROR, &error, &length);
    if (error != 0 || status < 0)
        return connect_next(uv_strerror(error != 0 ? -error : status));
    const int connected = std::exchange(socket_, -1);
    hang_up();
    end(connected, {});
}

void TcpConnector::hang_up() {
    patience_.stop();
    poll_.close();
    if (socket_ >= 0)
        close(std::exchange(socket_, -1));
}

// The callee may delete this connector.
void TcpConnector::end(int socket, const std::string& problem) {
    const OnConnected call = on_connected_;
    call(socket, problem);
}

} // namespace odoo_bus
