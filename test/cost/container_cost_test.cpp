// What a peer chooses: the names of channels, ids, cookies. None of them costs more than others of its size.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include <spdlog/fmt/fmt.h>

#include "base/clock.h"
#include "clients/fan_out.h"
#include "clients/moved_clients.h"
#include "http/cookie_jar.h"
#include "http/request_head.h"
#include "http/requester.h"
#include "test/unit/cost.h"

namespace odoo_bus {
namespace {

constexpr size_t KEYS = 60'000;

class Client final : public Subscriber {
public:
    bool writable() override { return true; }
    void write(const std::string&) override {}
    void want_writable() override {}
    void fell_behind(std::string_view) override {}
};

// libstdc++'s std::hash of a string is MurmurHash64A with a fixed seed: each of its steps can be undone, so
// that the last eight bytes are computed from the hash that is wanted.
class Murmur {
public:
    static uint64_t shift_mix(uint64_t v) { return v ^ v >> 47; }
    static uint64_t step(uint64_t hash, uint64_t word) {
        return (hash ^ shift_mix(word * FACTOR) * FACTOR) * FACTOR;
    }
    static uint64_t start(size_t length) { return SEED ^ length * FACTOR; }
    // The word that leads from `before` to `after`.
    static uint64_t word_between(uint64_t before, uint64_t after) {
        return shift_mix((before ^ after * inverse()) * inverse()) * inverse();
    }

private:
    static constexpr uint64_t FACTOR = 0xc6a4a7935bd1e995, SEED = 0xc70f6907;
    static uint64_t inverse() {
        uint64_t x = FACTOR;
        for (int i = 0; i < 6; ++i)
            x *= 2 - FACTOR * x;
        return x;
    }
};

std::string_view bytes_of(const uint64_t& word) {
    return {reinterpret_cast<const char*>(&word), sizeof word};
}

// Strings of 16 bytes that all have one std::hash. They are no text: the tables do not look.
std::vector<std::string> colliding_strings() {
    std::vector<std::string> strings;
    for (uint64_t i = 0; i < KEYS; ++i) {
        const uint64_t first = 0x0123456789abcdef * (i + 1);
        const uint64_t second =
            Murmur::word_between(Murmur::step(Murmur::start(16), first), 0xfedcba9876543210);
        strings.push_back(fmt::format("{}{}", bytes_of(first), bytes_of(second)));
    }
    return strings;
}

std::vector<std::string> plain_strings() {
    std::vector<std::string> strings;
    for (size_t i = 0; i < KEYS; ++i)
        strings.push_back(fmt::format("{:016}", i));
    return strings;
}

std::function<void()> subscribing(std::vector<std::string> channels) {
    return [channels = std::move(channels)] {
        FanOut fan_out{{.queue_bytes = 1000, .queue_time = std::chrono::seconds(1)}};
        Client client;
        for (int round = 0; round < 3; ++round)
            fan_out.subscribe(client, channels, 0);
        EXPECT_EQ(FanOut::new_to(client, channels).size(), 0u);
        fan_out.unsubscribe(client);
    };
}

// Numbers that share one bucket in a table of std::hash, and those that do not.
std::vector<int64_t> numbers(bool colliding) {
    std::unordered_set<int64_t> table;
    for (size_t i = 0; i < KEYS; ++i)
        table.insert(static_cast<int64_t>(i));
    std::vector<int64_t> result;
    for (size_t i = 1; i <= KEYS; ++i)
        result.push_back(static_cast<int64_t>(colliding ? i * table.bucket_count() : i));
    return result;
}

std::function<void()> publishing(std::vector<int64_t> ids) {
    return [ids = std::move(ids)] {
        FanOut fan_out{{.queue_bytes = 1000, .queue_time = std::chrono::seconds(1)}};
        auto batch = std::make_shared<Batch>();
        for (const int64_t id : ids)
            batch->push_back({.id = id,
                              .position = batch->size() + 1,
                              .fingerprint = 0,
                              .dispatched = MonotonicClock::now(),
                              .ahead = true,
                              .channel = "c",
                              .element = "{}"});
        fan_out.publish(std::move(batch), 0);
        for (const int64_t id : ids)
            ASSERT_TRUE(fan_out.position_of(id));
    };
}

std::function<void()> moving(std::vector<int64_t> movers) {
    return [movers = std::move(movers)] {
        MovedClients moved;
        for (const int64_t mover : movers)
            EXPECT_FALSE(moved.has_gone_on(static_cast<uint64_t>(mover), 1));
    };
}

// A head with as many cookies, all of one name or each of another.
std::function<void()> handshaking(bool distinct) {
    std::string text = "GET /websocket HTTP/1.1\r\nHost: h\r\nCookie: ";
    for (size_t i = 0; i < KEYS; ++i)
        text += fmt::format("n{:06}=; ", distinct ? i : KEYS);
    text += "a=\r\n\r\n";
    return [text, distinct] {
        RequestHead head(text.size());
        ASSERT_EQ(head.feed(text), RequestHead::State::complete);
        const Requester requester = make_requester(head, std::nullopt, Trust{});
        EXPECT_EQ(requester.cookies.size(), distinct ? KEYS + 1 : 2);
    };
}

} // namespace

TEST(HostileKeys, StringsCollideWhereTheHashHasNoKey) {
    const std::vector<std::string> strings = colliding_strings();
    for (const std::string& text : strings)
        ASSERT_EQ(std::hash<std::string>()(text), std::hash<std::string>()(strings[0]));
}

TEST(HostileKeys, ChannelsThatCollide) {
    EXPECT_LE(cost_ratio(subscribing(colliding_strings()), subscribing(plain_strings())), 2);
}

TEST(HostileKeys, IdsThatCollide) {
    EXPECT_LE(cost_ratio(publishing(numbers(true)), publishing(numbers(false))), 2);
}

TEST(HostileKeys, MoversThatCollide) {
    EXPECT_LE(cost_ratio(moving(numbers(true)), moving(numbers(false))), 2);
}

// What is kept costs memory and time, too; a quadratic search would cost a hundred times as much.
TEST(HostileKeys, CookiesOfManyNames) {
    EXPECT_LE(cost_ratio(handshaking(true), handshaking(false)), 8);
}

TEST(HostileKeys, CookiesThatAServerSets) {
    const auto setting = [](size_t names) {
        return [names] {
            CookieJar jar("");
            for (size_t i = 0; i < KEYS; ++i)
                jar.set("n" + std::to_string(i % names) + "=v; Path=/");
            EXPECT_EQ(static_cast<size_t>(std::ranges::count(jar.header(), '=')), names);
        };
    };
    EXPECT_LE(cost_ratio(setting(KEYS), setting(10)), 8);
}

// Numbers that are ours, and addresses, may be keys without it.
TEST(HostileKeys, NoTableOfForeignKeysIsWithoutKey) {
    const std::regex unkeyed(
        R"(std::unordered_\w+<(?:std::string|std::string_view|Id|int64_t|uint64_t)\b.*)");
    for (const auto& file : std::filesystem::recursive_directory_iterator(ODOO_BUS_SOURCES "/gateway")) {
        if (!file.is_regular_file())
            continue;
        std::ifstream stream(file.path());
        const std::string text{std::istreambuf_iterator<char>(stream), {}};
        for (std::sregex_iterator found(text.begin(), text.end(), unkeyed), end; found != end; ++found)
            EXPECT_TRUE(found->str().starts_with("std::unordered_map<uint64_t, std::unique_ptr<Session>>"))
                << file.path() << ": " << found->str();
    }
}

} // namespace odoo_bus
