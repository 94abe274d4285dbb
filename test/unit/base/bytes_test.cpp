// Structures as bytes: as they were, whole, and nothing else.
#include "base/bytes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace odoo_bus {
namespace {

struct Inner {
    std::string text = {};
    std::vector<uint16_t> numbers = {};
    bool operator==(const Inner&) const = default;
};

struct Outer {
    int64_t number = 0;
    bool flag = false;
    std::variant<std::string, Inner, bool> one_of = {};
    std::set<int64_t> set = {};
    std::vector<std::pair<uint64_t, int32_t>> pairs = {};
    std::array<uint8_t, 3> raw = {};
    WallTime wall = {};
    Monotonic monotonic = {};
    bool operator==(const Outer&) const = default;
};

} // namespace

template <>
inline constexpr auto FIELDS<Inner> = std::tuple(&Inner::text, &Inner::numbers);
template <>
inline constexpr auto FIELDS<Outer> = std::tuple(&Outer::number, &Outer::flag, &Outer::one_of, &Outer::set,
                                                 &Outer::pairs, &Outer::raw, &Outer::wall, &Outer::monotonic);

namespace {

using namespace std::chrono_literals;

Outer example() {
    return {.number = -2,
            .flag = true,
            .one_of = Inner{std::string("a\0b", 3), {1, 0xffff}},
            .set = {-1, 0, 1},
            .pairs = {{UINT64_MAX, INT32_MIN}, {0, 7}},
            .raw = {1, 2, 3},
            .wall = wall_time(1'700'000'000'000'000),
            .monotonic = Monotonic(5us)};
}

std::string bytes_of(const auto& value) {
    std::string bytes;
    write_bytes(bytes, value);
    return bytes;
}

} // namespace

TEST(Bytes, AStructureComesBackAsItWas) {
    EXPECT_EQ(read_bytes<Outer>(bytes_of(example())), example());
    EXPECT_EQ(read_bytes<Outer>(bytes_of(Outer{})), Outer{});
}

TEST(Bytes, NumbersAreLittleEndian) {
    EXPECT_EQ(bytes_of(uint32_t{0x01020304}), std::string("\4\3\2\1"));
    EXPECT_EQ(bytes_of(int16_t{-2}), std::string("\xfe\xff"));
    EXPECT_EQ(bytes_of(std::string("ab")), std::string("\2\0\0\0\0\0\0\0ab", 10));
}

TEST(Bytes, WhatIsCutOrLongerIsRefused) {
    const std::string bytes = bytes_of(example());
    for (size_t length = 0; length < bytes.size(); ++length)
        EXPECT_FALSE(read_bytes<Outer>(bytes.substr(0, length))) << length;
    EXPECT_FALSE(read_bytes<Outer>(bytes + 'x'));
}

TEST(Bytes, ValuesThatThereAreNoneOfAreRefused) {
    EXPECT_FALSE(read_bytes<bool>("\2"));
    EXPECT_EQ(read_bytes<bool>("\1"), true);
    using Variant = std::variant<std::string, bool>;
    EXPECT_EQ(read_bytes<Variant>(std::string("\1\0", 2)), Variant(false));
    EXPECT_FALSE(read_bytes<Variant>(std::string("\2\0", 2))) << "it has two alternatives";
    EXPECT_FALSE(read_bytes<Variant>("\xff"));
}

TEST(Bytes, AListTakesNoMoreMemoryThanItsBytes) {
    EXPECT_FALSE(read_bytes<std::vector<uint64_t>>(std::string(8, '\xff') + std::string(80, 'x')));
    EXPECT_FALSE(read_bytes<std::string>(std::string(8, '\xff') + "text"));
}

} // namespace odoo_bus
