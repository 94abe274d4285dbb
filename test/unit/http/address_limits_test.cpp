// What one address may take: connections and handshakes.
#include <gtest/gtest.h>

#include <type_traits>
#include <utility>
#include <vector>

#include "http/address_limits.h"

using namespace odoo_bus;
using namespace std::chrono_literals;

namespace {

Address address(const char* text) {
    return *Address::parse(text);
}

TEST(AddressLimits, SeatsAreCountedUntilTheyAreGivenUp) {
    AddressLimits limits({.connections = 2, .handshakes_second = 0});
    AddressLimits::Seat first = limits.take_seat(address("192.0.2.1"));
    AddressLimits::Seat second = limits.take_seat(address("192.0.2.1"));
    EXPECT_TRUE(first && second);
    EXPECT_FALSE(limits.take_seat(address("192.0.2.1")));
    EXPECT_TRUE(limits.take_seat(address("192.0.2.2")));
    AddressLimits::Seat moved = std::move(first); // an admission on its way
    EXPECT_FALSE(limits.take_seat(address("192.0.2.1")));
    second = {};
    EXPECT_TRUE(limits.take_seat(address("192.0.2.1"))) << "it counts twice";
    second = limits.take_seat(address("192.0.2.1"));
    EXPECT_FALSE(limits.take_seat(address("192.0.2.1")));
    moved = {};
    EXPECT_TRUE(limits.take_seat(address("192.0.2.1")));
    static_assert(!std::is_copy_constructible_v<AddressLimits::Seat>);
}

TEST(AddressLimits, AnIpv6NetworkOfOneCustomerCountsAsOne) {
    AddressLimits limits({.connections = 1, .handshakes_second = 0});
    const AddressLimits::Seat seat = limits.take_seat(address("2001:db8:0:1::1"));
    EXPECT_FALSE(limits.take_seat(address("2001:db8:0:1:ffff::2")));
    EXPECT_TRUE(limits.take_seat(address("2001:db8:0:2::1")));
    EXPECT_TRUE(limits.take_seat(address("192.0.2.1")));
}

TEST(AddressLimits, HandshakesComeBackWithTime) {
    AddressLimits limits({.connections = 0, .handshakes_second = 10});
    const Address one = address("192.0.2.1");
    Monotonic now(1000s);
    int taken = 0;
    while (limits.take_handshake(one, now))
        ++taken;
    EXPECT_EQ(taken, 51); // 5 seconds' and this one
    EXPECT_TRUE(limits.take_handshake(address("192.0.2.2"), now));
    now += 1s;
    taken = 0;
    while (limits.take_handshake(one, now))
        ++taken;
    EXPECT_EQ(taken, 10);
}

TEST(AddressLimits, ForgetsAddressesThatHaveGone) {
    AddressLimits limits({.connections = 5, .handshakes_second = 10});
    const Monotonic now(1000s);
    AddressLimits::Seat seat = limits.take_seat(address("192.0.2.1"));
    limits.take_handshake(address("192.0.2.2"), now);
    limits.tidy(now);
    EXPECT_EQ(limits.addresses(), 2u);
    limits.tidy(now + 1s);
    EXPECT_EQ(limits.addresses(), 1u);
    seat = {};
    limits.tidy(now + 1s);
    EXPECT_EQ(limits.addresses(), 0u);
}

TEST(AddressLimits, ZeroIsNoLimit) {
    AddressLimits limits({.connections = 0, .handshakes_second = 0});
    std::vector<AddressLimits::Seat> seats;
    for (int i = 0; i < 10'000; ++i) {
        seats.push_back(limits.take_seat(address("192.0.2.1")));
        EXPECT_TRUE(seats.back());
        EXPECT_TRUE(limits.take_handshake(address("192.0.2.1"), Monotonic()));
    }
}

} // namespace
