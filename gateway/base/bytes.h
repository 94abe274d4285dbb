// Structures as bytes and back: numbers little-endian; texts and lists behind their length; a variant behind
// the place of its alternative.
//
// A structure is coded once its members are named, in the order of the bytes:
//
//   template <>
//   inline constexpr auto FIELDS<Point> = std::tuple(&Point::x, &Point::y);
#pragma once

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "base/clock.h"

namespace odoo_bus {

template <class Struct>
inline constexpr std::nullptr_t FIELDS = nullptr;

// How a type is written and read; specialize it for a type that is more than its members.
template <class Type>
struct Coding;

template <class Type>
void write_bytes(std::string& to, const Type& value) {
    Coding<Type>::write(to, value);
}

// Reads defaults past the end and past what cannot be a value of the type, and remembers that.
class ByteReader {
public:
    explicit ByteReader(std::string_view bytes) : bytes_(bytes) {}

    template <class Type>
    void read(Type& value) {
        Coding<Type>::read(*this, value);
    }
    // The next bytes; empty when there are fewer.
    std::string_view take(uint64_t length) {
        if (length > bytes_.size())
            refuse();
        const std::string_view taken = bytes_.substr(0, damaged_ ? 0 : length);
        bytes_.remove_prefix(taken.size());
        return taken;
    }
    void refuse() { damaged_ = true; }
    bool is_damaged() const { return damaged_; }
    // All of it was read and understood.
    bool is_whole() const { return !damaged_ && bytes_.empty(); }

private:
    std::string_view bytes_;
    bool damaged_ = false;
};

// Nothing when the bytes are not one whole value.
template <class Type>
std::optional<Type> read_bytes(std::string_view bytes) {
    ByteReader from(bytes);
    std::optional<Type> value(std::in_place);
    from.read(*value);
    if (!from.is_whole())
        value.reset();
    return value;
}

// A structure: its members.
template <class Type>
struct Coding {
    static void write(std::string& to, const Type& value) {
        std::apply([&](auto... field) { (write_bytes(to, value.*field), ...); }, FIELDS<Type>);
    }
    static void read(ByteReader& from, Type& value) {
        std::apply([&](auto... field) { (from.read(value.*field), ...); }, FIELDS<Type>);
    }
};

template <std::integral Number>
struct Coding<Number> {
    static void write(std::string& to, Number value) {
        char bytes[sizeof value];
        for (size_t i = 0; i < sizeof value; ++i)
            bytes[i] = static_cast<char>(static_cast<uint64_t>(value) >> (8 * i) & 0xff);
        to.append(bytes, sizeof value);
    }
    static void read(ByteReader& from, Number& value) {
        const std::string_view bytes = from.take(sizeof value);
        uint64_t number = 0;
        if (!bytes.empty())
            for (size_t i = 0; i < sizeof value; ++i)
                number |= static_cast<uint64_t>(static_cast<uint8_t>(bytes[i])) << (8 * i);
        value = static_cast<Number>(number);
    }
};

template <>
struct Coding<bool> {
    static void write(std::string& to, bool value) { write_bytes<uint8_t>(to, value); }
    static void read(ByteReader& from, bool& value) {
        uint8_t number = 0;
        from.read(number);
        if (number > 1)
            from.refuse();
        value = number == 1;
    }
};

template <>
struct Coding<WallTime> {
    static void write(std::string& to, WallTime value) { write_bytes(to, microseconds(value)); }
    static void read(ByteReader& from, WallTime& value) {
        int64_t number = 0;
        from.read(number);
        value = wall_time(number);
    }
};

template <>
struct Coding<Duration> {
    static void write(std::string& to, Duration value) { write_bytes<int64_t>(to, value.count()); }
    static void read(ByteReader& from, Duration& value) {
        int64_t number = 0;
        from.read(number);
        value = Duration(number);
    }
};

// For a process on the same machine.
template <>
struct Coding<Monotonic> {
    static void write(std::string& to, Monotonic value) { write_bytes(to, value.time_since_epoch()); }
    static void read(ByteReader& from, Monotonic& value) {
        Duration since{};
        from.read(since);
        value = Monotonic(since);
    }
};

template <>
struct Coding<std::string> {
    static void write(std::string& to, const std::string& text) {
        write_bytes<uint64_t>(to, text.size());
        to += text;
    }
    static void read(ByteReader& from, std::string& text) {
        uint64_t size = 0;
        from.read(size);
        text = from.take(size);
    }
};

template <size_t size>
struct Coding<std::array<uint8_t, size>> {
    static void write(std::string& to, const std::array<uint8_t, size>& bytes) {
        to.append(bytes.begin(), bytes.end());
    }
    static void read(ByteReader& from, std::array<uint8_t, size>& bytes) {
        const std::string_view taken = from.take(size);
        std::ranges::copy(taken, bytes.begin());
    }
};

template <class First, class Second>
struct Coding<std::pair<First, Second>> {
    static void write(std::string& to, const std::pair<First, Second>& value) {
        write_bytes(to, value.first);
        write_bytes(to, value.second);
    }
    static void read(ByteReader& from, std::pair<First, Second>& value) {
        from.read(value.first);
        from.read(value.second);
    }
};

// A list ends where it cannot be read any further, so that it takes no more memory than its bytes can fill.
template <class List>
requires requires(List list) {
    list.insert(list.end(), typename List::value_type());
}
struct Coding<List> {
    static void write(std::string& to, const List& list) {
        write_bytes<uint64_t>(to, list.size());
        for (const auto& each : list)
            write_bytes(to, each);
    }
    static void read(ByteReader& from, List& list) {
        uint64_t count = 0;
        for (from.read(count); count > 0 && !from.is_damaged(); --count) {
            typename List::value_type each{};
            from.read(each);
            if (!from.is_damaged())
                list.insert(list.end(), std::move(each));
        }
    }
};

template <class... Alternatives>
struct Coding<std::variant<Alternatives...>> {
    using Variant = std::variant<Alternatives...>;

    static void write(std::string& to, const Variant& value) {
        write_bytes(to, static_cast<uint8_t>(value.index()));
        std::visit([&to](const auto& each) { write_bytes(to, each); }, value);
    }
    static void read(ByteReader& from, Variant& value) {
        uint8_t index = 0;
        from.read(index);
        if (!(read_alternative<Alternatives>(from, value, index) || ...))
            from.refuse();
    }

private:
    // `index`: of the alternatives that are left.
    template <class Alternative>
    static bool read_alternative(ByteReader& from, Variant& value, uint8_t& index) {
        if (index-- != 0)
            return false;
        from.read(value.template emplace<Alternative>());
        return true;
    }
};

} // namespace odoo_bus
