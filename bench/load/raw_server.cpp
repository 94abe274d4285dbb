// What the kernel can do: an epoll server that writes bytes which are framed already to every connection.
//
//   raw-server PORT [--batch] [--inject lose|double] [--listen CONNINFO]
//
// Whatever asks at PORT for a WebSocket is answered with 101, and subscribed to everything. At PORT + 1 it is
// told what to send, a message a line; with --listen, by NOTIFY raw as well. With --batch everything that has
// come goes to a connection in one write, else each message in its own. With --inject every thousandth
// message of a connection is left out or sent twice, by which the load client is proved.
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include <arpa/inet.h>
#include <libpq-fe.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {

enum class Inject { nothing, lose, twice };

struct Connection {
    int socket = -1;
    size_t next = 0;   // the first message that was not written whole
    size_t offset = 0; // in it
    uint64_t written = 0;
    bool open = false;
    bool blocked = false;
};

constexpr uint64_t LISTENER = UINT64_MAX, CONTROL_LISTENER = UINT64_MAX - 1, CONTROL = UINT64_MAX - 2,
                   NOTIFY = UINT64_MAX - 3;

int epoll;
bool batch = false;
Inject inject = Inject::nothing;
std::string framed;            // every message that was sent, one after the other
std::vector<size_t> begins{0}; // where each begins; the last one is the end
std::vector<Connection> connections;

void watch(int operation, int socket, uint64_t data, uint32_t events) {
    epoll_event event = {.events = events, .data = {.u64 = data}};
    epoll_ctl(epoll, operation, socket, &event);
}

int listen_at(uint16_t port) {
    const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
    setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) ||
        listen(socket, SOMAXCONN)) {
        perror("raw-server: listen");
        exit(1);
    }
    return socket;
}

void end(Connection& connection) {
    close(connection.socket);
    connection = {};
}

// False when the socket is full, or gone.
bool write_out(size_t index, std::string_view bytes, size_t& written) {
    Connection& connection = connections[index];
    const ssize_t length = send(connection.socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    written = static_cast<size_t>(length < 0 ? 0 : length);
    if (written == bytes.size())
        return true;
    if (length < 0 && errno != EAGAIN) {
        end(connection);
        return false;
    }
    if (!connection.blocked)
        watch(EPOLL_CTL_MOD, connection.socket, index, EPOLLIN | EPOLLOUT);
    connection.blocked = true;
    return false;
}

void flush(size_t index) {
    Connection& connection = connections[index];
    const size_t messages = begins.size() - 1;
    while (connection.open && connection.next < messages) {
        const size_t last = batch ? messages : connection.next + 1;
        const size_t from = begins[connection.next] + connection.offset;
        const std::string_view bytes = std::string_view(framed).substr(from, begins[last] - from);
        if (inject != Inject::nothing && connection.offset == 0 && ++connection.written % 1000 == 0) {
            size_t written = 0;
            if (inject == Inject::twice)
                write_out(index, bytes, written);
            else
                connection.next = last;
            continue;
        }
        size_t written = 0;
        const bool whole = write_out(index, bytes, written);
        size_t position = from + written;
        while (connection.next < messages && begins[connection.next + 1] <= position)
            ++connection.next;
        connection.offset = position - begins[connection.next];
        if (!whole)
            return;
    }
}

void flush_all() {
    const size_t messages = begins.size() - 1;
    for (size_t index = 0; index < connections.size(); ++index)
        if (connections[index].open && !connections[index].blocked && connections[index].next < messages)
            flush(index);
}

void add(std::string_view message) {
    framed += static_cast<char>(0x81);
    if (message.size() < 126) {
        framed += static_cast<char>(message.size());
    } else {
        framed += static_cast<char>(126);
        framed += static_cast<char>(message.size() >> 8);
        framed += static_cast<char>(message.size() & 0xff);
    }
    framed += message;
    begins.push_back(framed.size());
}

void control(int socket) {
    static std::string input;
    char buffer[65536];
    const ssize_t length = recv(socket, buffer, sizeof buffer, 0);
    if (length <= 0) {
        if (length == 0 || errno != EAGAIN)
            close(socket);
        return;
    }
    input.append(buffer, static_cast<size_t>(length));
    for (size_t newline; (newline = input.find('\n')) != input.npos; input.erase(0, newline + 1))
        add(std::string_view(input).substr(0, newline));
}

void accept_all(int listener) {
    for (int socket; (socket = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
        const int on = 1;
        setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        connections.push_back({.socket = socket});
        watch(EPOLL_CTL_ADD, socket, connections.size() - 1, EPOLLIN);
    }
}

void readable(size_t index) {
    constexpr std::string_view ANSWER =
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    Connection& connection = connections[index];
    char buffer[4096];
    const ssize_t length = recv(connection.socket, buffer, sizeof buffer, 0);
    if (length < 0 && errno == EAGAIN)
        return;
    if (length <= 0)
        return end(connection);
    if (connection.open)
        return;
    connection.open = true;
    connection.next = begins.size() - 1;
    send(connection.socket, ANSWER.data(), ANSWER.size(), MSG_NOSIGNAL);
}

void notified(PGconn* connection) {
    PQconsumeInput(connection);
    while (PGnotify* const notify = PQnotifies(connection)) {
        add(notify->extra);
        PQfreemem(notify);
    }
}

} // namespace

int main(int count, char** values) {
    const char* conninfo = nullptr;
    for (int i = 2; i < count; ++i) {
        const std::string_view argument = values[i];
        if (argument == "--batch")
            batch = true;
        else if (argument == "--inject" && i + 1 < count)
            inject = std::string_view(values[++i]) == "lose" ? Inject::lose : Inject::twice;
        else if (argument == "--listen" && i + 1 < count)
            conninfo = values[++i];
    }
    rlimit limit = {};
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);

    const auto port = static_cast<uint16_t>(atoi(count > 1 ? values[1] : "0"));
    epoll = epoll_create1(EPOLL_CLOEXEC);
    const int listener = listen_at(port), control_listener = listen_at(static_cast<uint16_t>(port + 1));
    watch(EPOLL_CTL_ADD, listener, LISTENER, EPOLLIN);
    watch(EPOLL_CTL_ADD, control_listener, CONTROL_LISTENER, EPOLLIN);
    PGconn* postgres = nullptr;
    if (conninfo) {
        postgres = PQconnectdb(conninfo);
        PQclear(PQexec(postgres, "LISTEN raw"));
        if (PQstatus(postgres) != CONNECTION_OK) {
            fprintf(stderr, "raw-server: %s", PQerrorMessage(postgres));
            return 1;
        }
        watch(EPOLL_CTL_ADD, PQsocket(postgres), NOTIFY, EPOLLIN);
    }
    puts("ready");
    fflush(stdout);

    int control_socket = -1;
    epoll_event events[512];
    for (;;) {
        const int ready = epoll_wait(epoll, events, 512, -1);
        for (int i = 0; i < ready; ++i) {
            const uint64_t data = events[i].data.u64;
            if (data == LISTENER) {
                accept_all(listener);
            } else if (data == CONTROL_LISTENER) {
                control_socket = accept4(control_listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
                watch(EPOLL_CTL_ADD, control_socket, CONTROL, EPOLLIN);
            } else if (data == CONTROL) {
                control(control_socket);
            } else if (data == NOTIFY) {
                notified(postgres);
            } else {
                if ((events[i].events & EPOLLOUT) && connections[data].blocked) {
                    connections[data].blocked = false;
                    watch(EPOLL_CTL_MOD, connections[data].socket, data, EPOLLIN);
                    flush(data);
                }
                if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR) && connections[data].socket >= 0)
                    readable(data);
            }
        }
        flush_all();
    }
}
