// The connections of the load client.
#include "connections.h"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace bench {

namespace {

char buffer[1 << 20];

// In the close frame of a process from which another one has taken over.
constexpr std::string_view REPLACED = "the gateway is replaced";

// A client's frame: masked, with a mask of zeros.
std::string frame(uint8_t opcode, std::string_view payload) {
    std::string bytes(1, static_cast<char>(0x80 | opcode));
    if (payload.size() < 126) {
        bytes += static_cast<char>(0x80 | payload.size());
    } else {
        bytes += static_cast<char>(0x80 | 126);
        bytes += static_cast<char>(payload.size() >> 8);
        bytes += static_cast<char>(payload.size() & 0xff);
    }
    return bytes.append(4, '\0').append(payload);
}

} // namespace

int64_t now_us() {
    using namespace std::chrono;
    return duration_cast<microseconds>(system_clock::now().time_since_epoch()).count();
}

void Latencies::add(int64_t us) {
    const auto value = static_cast<uint64_t>(std::max<int64_t>(us, 16));
    const auto exponent = static_cast<size_t>(std::bit_width(value) - 1);
    ++buckets_[std::min(exponent * 16 + (value >> (exponent - 4)) % 16, BUCKETS - 1)];
    ++count_;
}

int64_t Latencies::percentile(double part) const {
    const auto wanted = static_cast<uint64_t>(static_cast<double>(count_) * part);
    uint64_t seen = 0;
    for (size_t bucket = 0; bucket < BUCKETS; ++bucket)
        if ((seen += buckets_[bucket]) > wanted || (seen == count_ && seen > 0))
            return static_cast<int64_t>((uint64_t{1} << bucket / 16) + ((bucket % 16) << bucket / 16) / 16);
    return 0;
}

Connections::Connections(const Plan& plan)
    : plan_(plan), epoll_(epoll_create1(EPOLL_CLOEXEC)), connections_(plan.connections) {
    for (size_t i = 0; i < connections_.size(); ++i) {
        connections_[i].sequences = std::make_unique<Sequence[]>(plan_.channels);
        connections_[i].reads = plan_.never_read == 0 || i % plan_.never_read != plan_.never_read - 1;
        connections_[i].sampled = connections_[i].reads && i % plan_.sample == 0;
    }
}

Connections::~Connections() {
    drop();
    close(epoll_);
}

// A member's channels are neighbours in its group's ring, and begin at another one for each member.
uint32_t Connections::first_channel(size_t index) const {
    const size_t users = std::min(plan_.group_users, plan_.connections);
    return static_cast<uint32_t>(index % users * plan_.group_channels / users);
}

uint32_t Connections::channel(size_t index, size_t which) const {
    const size_t users = std::min(plan_.group_users, plan_.connections);
    return static_cast<uint32_t>(index / users * plan_.group_channels +
                                 (first_channel(index) + which) % plan_.group_channels);
}

std::string Connections::subscription(size_t index) const {
    if (plan_.protocol == Protocol::nats) {
        std::string text = "CONNECT {\"verbose\":false,\"pedantic\":false}\r\n";
        for (size_t i = 0; i < plan_.channels; ++i)
            text += "SUB c" + std::to_string(channel(index, i)) + " " + std::to_string(i + 1) + "\r\n";
        return frame(2, text);
    }
    if (plan_.protocol != Protocol::bus)
        return {};
    std::string names;
    for (size_t i = 0; i < plan_.channels; ++i)
        names += (i ? ",\"c" : "\"c") + std::to_string(channel(index, i)) + "\"";
    return frame(1, "{\"event_name\":\"subscribe\",\"data\":{\"channels\":[" + names +
                        "],\"last\":" + std::to_string(std::max(last_, connections_[index].last)) + "}}");
}

void Connections::watch(size_t index, uint32_t events) {
    epoll_event event = {.events = events, .data = {.u64 = index}};
    epoll_ctl(epoll_, EPOLL_CTL_MOD, connections_[index].socket, &event);
}

void Connections::start(size_t index) {
    Connection& connection = connections_[index];
    connection.socket = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const int on = 1, small = 4096;
    setsockopt(connection.socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (!connection.reads)
        setsockopt(connection.socket, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    if (plan_.addresses > 1) {
        setsockopt(connection.socket, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
        sockaddr_in source = {};
        source.sin_family = AF_INET;
        source.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + static_cast<uint32_t>(index % plan_.addresses));
        if (bind(connection.socket, reinterpret_cast<const sockaddr*>(&source), sizeof source))
            perror("bind");
    }
    connection.state = State::connecting;
    connection.reader = {};
    ++opening_;
    if (connection.socket < 0 || (connect(connection.socket, reinterpret_cast<const sockaddr*>(&plan_.server),
                                          sizeof plan_.server) < 0 &&
                                  errno != EINPROGRESS)) {
        perror("connect");
        return fail(index, true);
    }
    // On loopback it is connected by now, which spares waiting for it.
    epoll_event event = {.events = ask(index) ? EPOLLIN : EPOLLOUT, .data = {.u64 = index}};
    epoll_ctl(epoll_, EPOLL_CTL_ADD, connection.socket, &event);
}

// Sends the request for a WebSocket. False while there is no connection.
bool Connections::ask(size_t index) {
    Connection& connection = connections_[index];
    const std::string path =
        plan_.protocol == Protocol::nchan ? plan_.path + "c" + std::to_string(channel(index, 0)) : plan_.path;
    const std::string head =
        "GET " + path +
        " HTTP/1.1\r\nHost: bench\r\nOrigin: http://bench\r\nConnection: Upgrade\r\nUpgrade: "
        "websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: "
        "13\r\n\r\n";
    const ssize_t sent = ::send(connection.socket, head.data(), head.size(), MSG_NOSIGNAL);
    if (sent < 0 && (errno == EAGAIN || errno == ENOTCONN))
        return false;
    if (sent != static_cast<ssize_t>(head.size()))
        perror("send");
    connection.state = State::upgrading;
    return true;
}

void Connections::send(Connection& connection, std::string_view bytes) {
    if (!bytes.empty() && ::send(connection.socket, bytes.data(), bytes.size(), MSG_NOSIGNAL) !=
                              static_cast<ssize_t>(bytes.size()))
        perror("send");
}

void Connections::event(size_t index) {
    Connection& connection = connections_[index];
    if (connection.state == State::open)
        return read(index, now_us());
    if (connection.state == State::connecting) {
        if (ask(index))
            watch(index, EPOLLIN);
        return;
    }
    // Byte by byte no server sends it: what follows the head in the same segment is not lost, since the marks
    // of a connection are counted from 1.
    const ssize_t length = recv(connection.socket, buffer, sizeof buffer, 0);
    if (length < 0 && errno == EAGAIN)
        return;
    const std::string_view head(buffer, static_cast<size_t>(std::max<ssize_t>(length, 0)));
    if (!head.starts_with("HTTP/1.1 101 ") || head.find("\r\n\r\n") == head.npos)
        return fail(index, true);
    upgraded(index);
}

void Connections::upgraded(size_t index) {
    Connection& connection = connections_[index];
    connection.state = State::open;
    --opening_;
    ++open_;
    send(connection, subscription(index));
    if (!connection.sampled)
        epoll_ctl(epoll_, EPOLL_CTL_DEL, connection.socket, nullptr);
}

void Connections::read(size_t index, int64_t now) {
    Connection& connection = connections_[index];
    const size_t users = std::min(plan_.group_users, plan_.connections);
    const size_t all_channels = (plan_.connections + users - 1) / users * plan_.group_channels;
    for (;;) {
        const ssize_t length = recv(connection.socket, buffer, sizeof buffer, MSG_DONTWAIT);
        if (length < 0 && errno == EAGAIN)
            return;
        if (length <= 0)
            return fail(index, false);
        totals_.bytes += static_cast<uint64_t>(length);
        const uint32_t group =
            channel(index, 0) - first_channel(index) % static_cast<uint32_t>(plan_.group_channels);
        connection.reader.feed({buffer, static_cast<size_t>(length)}, [&](const Mark& mark) {
            const auto ring = static_cast<uint32_t>(plan_.group_channels);
            const uint32_t which = (mark.channel - group + ring - first_channel(index) % ring) % ring;
            if (mark.channel < group || mark.channel >= group + ring || which >= plan_.channels) {
                ++totals_.foreign;
                return;
            }
            ++totals_.deliveries;
            const auto id = static_cast<int64_t>((mark.sequence - 1) * all_channels + mark.channel + 1);
            connection.last = std::max(connection.last, last_ + id);
            const Sequence::Verdict verdict = connection.sequences[which].receive(mark.sequence);
            totals_.lost += verdict.lost;
            totals_.doubled += verdict.doubled;
            if (connection.sampled)
                totals_.latencies.add(now - mark.sent_us);
        });
        if (plan_.return_us &&
            std::string_view(buffer, static_cast<size_t>(length)).find(REPLACED) != std::string_view::npos)
            return fail(index, false); // a page does not wait for the end of the connection either
        if (static_cast<size_t>(length) < sizeof buffer)
            return;
    }
}

void Connections::fail(size_t index, bool refused) {
    Connection& connection = connections_[index];
    if (connection.state == State::open)
        --open_;
    else
        --opening_;
    ++(refused ? totals_.refused : totals_.closed);
    connection.state = State::closed;
    close(std::exchange(connection.socket, -1));
    if (plan_.return_us && !refused)
        returning_.emplace(now_us() + std::uniform_int_distribution<int64_t>(0, plan_.return_us)(random_),
                           index);
}

void Connections::come_back(int64_t now) {
    for (; !returning_.empty() && returning_.begin()->first <= now; returning_.erase(returning_.begin())) {
        ++totals_.returned;
        start(returning_.begin()->second);
    }
}

void Connections::churn(int64_t now) {
    const auto due = static_cast<size_t>(now - std::exchange(churned_us_, now)) * plan_.churn / 1'000'000;
    for (size_t i = 0; i < std::min(due, connections_.size()); ++i) {
        const size_t index = random_() % connections_.size();
        if (connections_[index].state != State::open)
            continue;
        close(std::exchange(connections_[index].socket, -1));
        connections_[index].state = State::closed;
        --open_;
        returning_.emplace(now, index);
    }
}

void Connections::open(int64_t last, size_t upto) {
    last_ = last;
    size_t next = 0;
    epoll_event events[512];
    while (next < std::min(upto, connections_.size()) || opening_ > 0) {
        for (; next < std::min(upto, connections_.size()) && opening_ < plan_.window; ++next)
            if (connections_[next].state == State::closed)
                start(next);
        const int ready = epoll_wait(epoll_, events, 512, 1000);
        for (int i = 0; i < ready; ++i)
            event(events[i].data.u64);
    }
}

void Connections::drop() {
    for (Connection& connection : connections_) {
        if (connection.state == State::closed)
            continue;
        close(std::exchange(connection.socket, -1));
        connection.state = State::closed;
    }
    open_ = opening_ = 0;
}

void Connections::sweep() {
    const int64_t now = now_us();
    for (size_t i = 0; i < connections_.size(); ++i)
        if (connections_[i].state == State::open && !connections_[i].sampled && connections_[i].reads)
            read(i, now);
    if (plan_.churn)
        churn(now);
    next_sweep_us_ = now_us() + plan_.sweep_us;
}

void Connections::run(int64_t until_us, int control) {
    epoll_event event = {.events = EPOLLIN, .data = {.u64 = UINT64_MAX}};
    if (control >= 0)
        epoll_ctl(epoll_, EPOLL_CTL_ADD, control, &event);
    epoll_event events[512];
    for (bool controlled = false; !controlled;) {
        const int64_t now = now_us();
        if (now >= until_us)
            break;
        if (now >= next_sweep_us_)
            sweep();
        come_back(now);
        const int64_t wait = std::min(until_us, next_sweep_us_) - now_us();
        const int ready =
            epoll_wait(epoll_, events, 512, static_cast<int>(std::max<int64_t>(wait / 1000, 0)));
        for (int i = 0; i < ready; ++i) {
            if (events[i].data.u64 == UINT64_MAX)
                controlled = true;
            else
                this->event(events[i].data.u64);
        }
    }
    if (control >= 0)
        epoll_ctl(epoll_, EPOLL_CTL_DEL, control, nullptr);
}

void Connections::finish(const std::vector<uint64_t>& sent) {
    for (size_t index = 0; index < connections_.size(); ++index)
        for (size_t i = 0; i < plan_.channels && connections_[index].reads; ++i) {
            const uint32_t number = channel(index, i);
            const uint64_t last = sent.size() == 1 ? sent[0] : number < sent.size() ? sent[number] : 0;
            totals_.lost += connections_[index].sequences[i].finish(last);
        }
}

} // namespace bench
