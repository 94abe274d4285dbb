// What a subscribe and a notification cost, in CPU time: what they change, however many others are there.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "clients/fan_out.h"
#include "cost.h"

using namespace odoo_bus;

namespace {

class Silent final : public Subscriber {
public:
    bool writable() override { return true; }
    void write(const std::string&) override {}
    void want_writable() override {}
    void fell_behind(std::string_view) override {}
};

// Ten channels that everyone is on, and ten of its own.
std::vector<std::string> channels_of(size_t client, const std::string& everyone = "everyone") {
    std::vector<std::string> names;
    for (size_t n = 0; n < 10; ++n) {
        names.push_back(everyone + "'s " + std::to_string(n));
        names.push_back(std::to_string(client) + "'s own " + std::to_string(n));
    }
    return names;
}

class Crowd {
public:
    explicit Crowd(size_t size) : clients_(size) {
        for (size_t client = 0; client < size; ++client)
            fan_out_.subscribe(clients_[client], channels_of(client), 0);
    }
    ~Crowd() {
        for (Silent& client : clients_)
            fan_out_.unsubscribe(client);
    }
    Crowd(const Crowd&) = delete;
    Crowd& operator=(const Crowd&) = delete;

    size_t channels() const { return fan_out_.channels(); }

    // Of one subscribe that leaves the ten channels that everyone is on for ten others.
    double seconds_to_change() {
        double best = 1;
        for (int attempt = 0; attempt < ATTEMPTS; ++attempt) {
            best = std::min(best, seconds_to_subscribe("some"));
            seconds_to_subscribe("everyone");
        }
        return best;
    }

    // Of one notification to a channel that nobody listens to.
    double seconds_to_ignore() {
        double best = 1;
        for (int attempt = 0; attempt < ATTEMPTS; ++attempt) {
            const auto batch = std::make_shared<Batch>();
            for (size_t n = 0; n < CHANGES; ++n)
                batch->push_back({.id = ++id_,
                                  .position = static_cast<Position>(id_),
                                  .fingerprint = 0,
                                  .dispatched = {},
                                  .ahead = false,
                                  .channel = "nobody's",
                                  .element = "{}"});
            const double begin = thread_seconds();
            fan_out_.publish(batch, static_cast<Position>(id_));
            best = std::min(best, (thread_seconds() - begin) / CHANGES);
        }
        return best;
    }

private:
    double seconds_to_subscribe(const std::string& everyone) {
        std::vector<std::vector<std::string>> channels;
        for (size_t client = 0; client < CHANGES; ++client)
            channels.push_back(channels_of(client, everyone));
        const double begin = thread_seconds();
        for (size_t client = 0; client < CHANGES; ++client)
            fan_out_.subscribe(clients_[client], channels[client], 0);
        return (thread_seconds() - begin) / CHANGES;
    }

    static constexpr size_t CHANGES = 250;
    static constexpr int ATTEMPTS = 20; // of which the best counts: the caches are the other processes', too

    FanOut fan_out_{{.queue_bytes = SIZE_MAX, .queue_time = Duration::max()}};
    std::vector<Silent> clients_;
    Id id_ = 0;
};

// Measured with sanitizers: 1.5 times as much in the large crowd, for its memory; a walk through the
// subscribers of a channel makes it 15, one through all channels 60.
TEST(FanOutCost, DependsOnTheChangeNotOnTheCrowd) {
    Crowd few(250), many(10'000);
    ASSERT_EQ(many.channels(), 100'010u);
    EXPECT_LT(many.seconds_to_change(), 5 * few.seconds_to_change());
    EXPECT_LT(many.seconds_to_ignore(), 5 * few.seconds_to_ignore());
}

} // namespace
