// The connections of the load client: opened in a window, read at once or swept now and then, checked by
// their marks.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <netinet/in.h>

#include "marks.h"

namespace bench {

enum class Protocol { bus, raw, nats, nchan };

struct Plan {
    sockaddr_in server = {};
    std::string path = "/websocket";
    Protocol protocol = Protocol::bus;
    size_t connections = 1;
    size_t window = 256; // handshakes under way at a time
    // Connection i is member i % group_users of group i / group_users, which has group_channels channels.
    size_t channels = 1;
    size_t group_users = SIZE_MAX;
    size_t group_channels = 1;
    size_t sample = 1;     // every so manieth is read at once, and measures latency; the others are swept
    size_t never_read = 0; // every so manieth is never read; 0: none
    int64_t sweep_us = 100'000;
    size_t addresses = 1; // 127.0.0.2 and on, from which it connects
    // A connection that the server ends comes back within this time, with the `last` that it has; 0: none
    // does. That needs one sender, which goes through the channels in turn, so that marks tell the ids.
    int64_t return_us = 0;
    size_t churn = 0; // so many a second go by themselves, and come back at once
};

// Microseconds in buckets that are a sixteenth wide at most.
class Latencies {
public:
    void add(int64_t us);
    int64_t percentile(double part) const;
    uint64_t count() const { return count_; }
    void clear() { *this = {}; }

private:
    static constexpr size_t BUCKETS = 64 * 16;
    std::array<uint64_t, BUCKETS> buckets_ = {};
    uint64_t count_ = 0;
};

struct Totals {
    uint64_t deliveries = 0;
    uint64_t bytes = 0;
    uint64_t lost = 0;
    uint64_t doubled = 0;
    uint64_t foreign = 0;  // marks of a channel that the connection has not subscribed to
    uint64_t closed = 0;   // connections that the server has ended
    uint64_t refused = 0;  // connects that failed, and handshakes that were not answered with 101
    uint64_t returned = 0; // connections that came back
    Latencies latencies;
};

class Connections {
public:
    explicit Connections(const Plan& plan);
    ~Connections();

    // Opens all that are not open. `last`: what they subscribe with. Returns when every one is, or has
    // failed.
    void open(int64_t last, size_t upto);
    // Drops all without a word.
    void drop();
    // Reads what is to be read until `until_us`, or until `control` (a descriptor, or -1) can be read.
    void run(int64_t until_us, int control);
    // Counts what is missing, when so many were sent on each channel; one number counts for all of them.
    void finish(const std::vector<uint64_t>& sent);

    Totals& totals() { return totals_; }
    size_t is_open() const { return open_; }

private:
    enum class State : uint8_t { closed, connecting, upgrading, open };
    struct Connection {
        int socket = -1;
        State state = State::closed;
        bool sampled = false;
        bool reads = true;
        MarkReader reader;
        std::unique_ptr<Sequence[]> sequences;
        int64_t last = 0; // the id of its newest mark
    };

    uint32_t first_channel(size_t index) const;
    uint32_t channel(size_t index, size_t which) const;
    void start(size_t index);
    bool ask(size_t index);
    void event(size_t index);
    void upgraded(size_t index);
    void read(size_t index, int64_t now_us);
    void fail(size_t index, bool refused);
    void watch(size_t index, uint32_t events);
    void come_back(int64_t now_us);
    void churn(int64_t now_us);
    void sweep();
    void send(Connection& connection, std::string_view bytes);
    std::string subscription(size_t index) const;

    const Plan plan_;
    int epoll_;
    int64_t last_ = 0;
    std::vector<Connection> connections_;
    size_t opening_ = 0;
    size_t open_ = 0;
    int64_t next_sweep_us_ = 0;
    std::multimap<int64_t, size_t> returning_; // by when
    std::minstd_rand random_;
    int64_t churned_us_ = 0;
    Totals totals_;
};

int64_t now_us();

} // namespace bench
