// tail as a process, against a server of the test's own that speaks just enough of the protocol.
#include "commands/tail.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdio>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <jansson.h>
#include <libwebsockets.h>

#include "base/clock.h"
#include "deadline.h"
#include "http/handshake.h"
#include "http/request_head.h"

namespace odoo_bus {
namespace {

using testing::HasSubstr;
using testing::MatchesRegex;

// A failure is an exception instead of a test that never ends.
const int DEADLINE_MS = static_cast<int>(scaled(std::chrono::seconds(20)).count());

std::string read_some(int fd) {
    pollfd entry{fd, POLLIN, 0};
    if (poll(&entry, 1, DEADLINE_MS) != 1)
        throw std::runtime_error("nothing came in time");
    std::array<char, 65536> buffer;
    const ssize_t count = read(fd, buffer.data(), buffer.size());
    return {buffer.data(), static_cast<size_t>(std::max<ssize_t>(count, 0))};
}

void write_all(int fd, std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t count = send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (count <= 0)
            throw std::runtime_error("the connection is gone");
        bytes.remove_prefix(static_cast<size_t>(count));
    }
}

// The server's side of one connection.
class Connection {
public:
    explicit Connection(int fd) : fd_(fd) {
        while (head.feed(read_some(fd_)) == RequestHead::State::need_more) {
        }
    }
    ~Connection() { close(fd_); }
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    void answer(const Response& response) const { write_all(fd_, response.to_string()); }

    void accept_handshake(const std::string& more_headers = {}) const {
        EXPECT_EQ(judge_handshake(head), std::nullopt);
        const auto key =
            std::string(*head.first("sec-websocket-key")) + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
        std::array<unsigned char, 20> digest;
        lws_SHA1(reinterpret_cast<const unsigned char*>(key.data()), key.size(), digest.data());
        std::array<char, 32> accept;
        lws_b64_encode_string(reinterpret_cast<const char*>(digest.data()), digest.size(), accept.data(),
                              accept.size());
        write_all(fd_, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                       "Sec-WebSocket-Accept: " +
                           std::string(accept.data()) + "\r\n" + more_headers + "\r\n");
    }

    void send_frame(std::string_view payload, unsigned char first_byte = 0x81) const {
        std::string frame(1, static_cast<char>(first_byte));
        if (payload.size() < 126) {
            frame.push_back(static_cast<char>(payload.size()));
        } else {
            frame.push_back(127);
            for (int shift = 56; shift >= 0; shift -= 8)
                frame.push_back(static_cast<char>(payload.size() >> shift & 0xff));
        }
        write_all(fd_, frame.append(payload));
    }

    void send_close(int code) const {
        send_frame(std::string{static_cast<char>(code >> 8), static_cast<char>(code & 0xff)}, 0x88);
    }

    // Opcode and payload of the client's next frame, which is masked and small.
    std::pair<int, std::string> receive_frame() {
        need(6);
        const size_t short_length = static_cast<unsigned char>(buffer_[1]) & 0x7f;
        const size_t begin = short_length == 126 ? 4 : 2;
        const auto byte = [this](size_t i) { return static_cast<unsigned char>(buffer_[i]); };
        const size_t length =
            short_length == 126 ? static_cast<size_t>(byte(2) << 8 | byte(3)) : short_length;
        need(begin + 4 + length);
        std::string payload = buffer_.substr(begin + 4, length);
        for (size_t i = 0; i < length; ++i)
            payload[i] = static_cast<char>(payload[i] ^ buffer_[begin + i % 4]);
        const int opcode = byte(0) & 0x0f;
        buffer_.erase(0, begin + 4 + length);
        return {opcode, payload};
    }

    RequestHead head{65536};

private:
    void need(size_t bytes) {
        while (buffer_.size() < bytes) {
            const std::string more = read_some(fd_);
            if (more.empty())
                throw std::runtime_error("the client has gone");
            buffer_ += more;
        }
    }

    int fd_;
    std::string buffer_;
};

class TailTest : public testing::Test {
protected:
    void SetUp() override {
        listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t length = sizeof address;
        ASSERT_EQ(bind(listener_, reinterpret_cast<sockaddr*>(&address), length), 0);
        ASSERT_EQ(listen(listener_, 8), 0);
        ASSERT_EQ(getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &length), 0);
        host_ = "127.0.0.1:" + std::to_string(ntohs(address.sin_port));
    }

    void TearDown() override {
        close(listener_);
        if (output_ >= 0)
            close(output_);
        if (process_ > 0) {
            kill(process_, SIGKILL);
            waitpid(process_, nullptr, 0);
        }
    }

    void start(std::vector<std::string> arguments) {
        arguments.insert(arguments.begin(), "ws://" + host_ + "/websocket");
        std::array<int, 2> ends;
        ASSERT_EQ(pipe(ends.data()), 0);
        std::fflush(nullptr); // or the process would print it once more
        process_ = fork();
        ASSERT_GE(process_, 0);
        if (process_ == 0) {
            close(listener_); // so that the test's end is noticed
            close(ends[0]);
            dup2(ends[1], STDOUT_FILENO);
            close(ends[1]);
            _exit(run_tail(arguments));
        }
        close(ends[1]);
        output_ = ends[0];
    }

    std::unique_ptr<Connection> next_connection() const {
        pollfd entry{listener_, POLLIN, 0};
        if (poll(&entry, 1, DEADLINE_MS) != 1)
            throw std::runtime_error("nobody connects");
        return std::make_unique<Connection>(accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC));
    }

    // Accepts, and returns the connection when it has subscribed.
    std::unique_ptr<Connection> next_subscriber(std::string* event = nullptr) const {
        auto connection = next_connection();
        connection->accept_handshake();
        const auto [opcode, text] = connection->receive_frame();
        EXPECT_EQ(opcode, 1);
        if (event)
            *event = text;
        return connection;
    }

    std::string line() {
        while (lines_.find('\n') == lines_.npos) {
            const std::string more = read_some(output_);
            if (more.empty())
                throw std::runtime_error("the output has ended");
            lines_ += more;
        }
        const std::string first = lines_.substr(0, lines_.find('\n'));
        lines_.erase(0, first.size() + 1);
        return first;
    }

    int exit_code() {
        while (!read_some(output_).empty()) { // its end is the process's end
        }
        int status = 0;
        waitpid(process_, &status, 0);
        process_ = -1;
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    }

    int listener_ = -1;
    std::string host_;
    pid_t process_ = -1;
    int output_ = -1;
    std::string lines_;
};

TEST_F(TailTest, SubscribesAndPrintsUntilItHasEnough) {
    start({"orders", "caf\u00e9", "--count=3", "--cookie", "session_id=x; a=b"});
    std::string event;
    const auto server = next_subscriber(&event);
    EXPECT_EQ(server->head.path(), "/websocket");
    EXPECT_EQ(server->head.first("host"), host_);
    EXPECT_EQ(server->head.first("origin"), "http://" + host_);
    EXPECT_EQ(server->head.cookies(), "session_id=x; a=b");
    EXPECT_EQ(event, R"({"event_name":"subscribe","data":{"channels":["orders","café"],"last":0,)"
                     R"("check_outdated":false,"name_channels":false}})");
    server->send_frame(R"([{"id":10,"message":{"type":"t","payload":{"n":1.50}}}])");
    EXPECT_THAT(line(), MatchesRegex("20[-0-9T:.]+Z #10 t \\{\"n\":1\\.50\\}"));
    const std::string sent_at = std::to_string(static_cast<double>(now_us() - 5'000'000) / 1e6);
    server->send_frame(R"([{"id":9,"message":{"type":"a)"
                       "\u009b"
                       R"(","payload":{"sent_at":)" +
                       sent_at +
                       R"(}}},{"id":12,"message":{"type":"t","payload":2}},{"id":13,"message":{}}])");
    EXPECT_THAT(line(), MatchesRegex("20[-0-9T:.]+Z #9 [5-9][0-9][0-9][0-9]\\.[0-9] ms a.u009b .*"));
    EXPECT_THAT(line(), HasSubstr("#12 t 2"));
    const auto [opcode, body] = server->receive_frame();
    EXPECT_EQ(opcode, 8);
    EXPECT_EQ(body.substr(0, 2), "\x03\xe8"); // 1000
    server->send_close(1000);
    EXPECT_EQ(exit_code(), 0);
}

TEST_F(TailTest, JsonLinesHoldTheElementAsItCame) {
    start({"--json", "--count=2"});
    const auto server = next_subscriber();
    server->send_frame("[{\"id\":10,\"message\":{\"type\":\"t\",\n\"payload\":{\"n\":1.50}}} ,"
                       "{\"id\":11,\"message\":{\"type\":\"t\",\"payload\":{\"sent_at\":1.5}}}]");
    EXPECT_THAT(line(),
                MatchesRegex("\\{\"id\":10,\"message\":\\{\"type\":\"t\", \"payload\":\\{\"n\":1\\.50\\}\\},"
                             "\"received_at\":[0-9]+\\.[0-9]+\\}"));
    const std::string second = line();
    json_t* object = json_loads(second.c_str(), 0, nullptr);
    ASSERT_NE(object, nullptr) << second;
    const double received = json_number_value(json_object_get(object, "received_at"));
    EXPECT_NEAR(received, static_cast<double>(now_us()) / 1e6, 60);
    EXPECT_NEAR(json_number_value(json_object_get(object, "latency_ms")), (received - 1.5) * 1000, 1);
    json_decref(object);
}

TEST_F(TailTest, ComesBackAndResumes) {
    start({"a", "--last=5"});
    std::string event;
    auto server = next_subscriber(&event);
    EXPECT_THAT(event, HasSubstr("\"last\":5,"));
    server->send_frame(R"([{"id":20,"message":{"type":"t","payload":1}},{"id":18,"message":{}}])");
    line();
    EXPECT_THAT(line(), HasSubstr("#18"));
    server.reset(); // as when the server is killed
    server = next_subscriber(&event);
    EXPECT_THAT(event, HasSubstr("\"last\":18,"));
    server->send_close(1013);
    server = next_subscriber(&event);
    EXPECT_THAT(event, HasSubstr("\"last\":18,"));
    server.reset();
    next_connection()->answer(Response::refusal(503, "Later."));
    server = next_subscriber(&event);
    server->send_frame(R"([{"id":21,"message":{"type":"t","payload":1}}])");
    EXPECT_THAT(line(), HasSubstr("#21"));
}

TEST_F(TailTest, KeepsTheCookiesThatTheServerSets) {
    start({"--cookie=session_id=old"});
    auto server = next_connection();
    EXPECT_EQ(server->head.cookies(), "session_id=old");
    server->accept_handshake("Set-Cookie: odoo_bus_gateway=0123; Path=/\r\nSet-Cookie: session_id=new\r\n");
    server->receive_frame();
    server.reset();
    EXPECT_EQ(next_connection()->head.cookies(), "session_id=new; odoo_bus_gateway=0123");
}

TEST_F(TailTest, LargeAndFragmentedMessages) {
    start({"--count=2"});
    const auto server = next_subscriber();
    const std::string text(1 << 20, 'x');
    server->send_frame(R"([{"id":1,"message":{"type":"t","payload":")" + text + "\"}}]");
    EXPECT_THAT(line(), testing::EndsWith(" #1 t \"" + text + "\""));
    server->send_frame(R"([{"id":2,"message":{"ty)", 0x01);
    server->send_frame(R"(pe":"t","payload":)", 0x00);
    server->send_frame("3}}]", 0x80);
    EXPECT_THAT(line(), HasSubstr("#2 t 3"));
}

TEST_F(TailTest, AnswersPings) {
    start({"--count=1"});
    const auto server = next_subscriber();
    server->send_frame("[", 0x01); // a ping may come between the fragments of a message
    server->send_frame("are you there?", 0x89);
    EXPECT_EQ(server->receive_frame(), (std::pair<int, std::string>{10, "are you there?"}));
    server->send_frame(R"({"id":1,"message":{"type":"t","payload":1}}])", 0x80);
    EXPECT_THAT(line(), HasSubstr("#1 t 1"));
}

TEST_F(TailTest, StrangeFramesDoNoHarm) {
    start({"--count=1", "--json"});
    const auto server = next_subscriber();
    server->send_frame("nonsense");
    server->send_frame(
        "[1,{\"type\":\"bus/subscription_outdated\",\"internal\":true,\"payload\":null},[\"id\"]]");
    server->send_frame(R"([{"id":1,"message":"m"}])");
    EXPECT_THAT(line(), HasSubstr("\"id\":1,"));
}

TEST_F(TailTest, InterruptEndsWithZero) {
    start({});
    const auto server = next_subscriber();
    kill(process_, SIGINT);
    EXPECT_EQ(server->receive_frame().first, 8);
    EXPECT_EQ(exit_code(), 0); // although the server does not answer
}

TEST_F(TailTest, InterruptEndsWithZeroWhileNotConnected) {
    start({});
    const auto connection = next_connection(); // and no answer
    kill(process_, SIGTERM);
    EXPECT_EQ(exit_code(), 0);
}

TEST_F(TailTest, ForGoodRefused) {
    start({});
    next_connection()->answer(Response::refusal(403, "No."));
    EXPECT_EQ(exit_code(), 1);
}

TEST_F(TailTest, SessionEnded) {
    start({});
    const auto server = next_subscriber();
    server->send_close(4001);
    EXPECT_EQ(exit_code(), 1);
}

TEST_F(TailTest, NobodyReads) {
    start({});
    const auto server = next_subscriber();
    close(output_);
    output_ = -1;
    server->send_frame(R"([{"id":1,"message":{"type":"t","payload":1}}])");
    EXPECT_EQ(server->receive_frame().first, 8);
    server->send_close(1000);
    int status = 0;
    waitpid(process_, &status, 0);
    process_ = -1;
    EXPECT_EQ(WEXITSTATUS(status), 1);
}

TEST_F(TailTest, WrongCommandLine) {
    start({"--nonsense"});
    EXPECT_EQ(exit_code(), 2);
}

} // namespace
} // namespace odoo_bus
