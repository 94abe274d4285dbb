// What one address may take: so many connections, and so many handshakes a second.
//
// An IPv6 address counts as its /64, which is what one customer has. The front's thread owns it; a seat may
// be given up by any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <utility>

#include "base/token_bucket.h"
#include "http/address.h"

namespace odoo_bus {

class AddressLimits {
public:
    struct Bounds {
        uint64_t connections;       // 0: any number
        uint64_t handshakes_second; // 0: any number
    };
    explicit AddressLimits(Bounds bounds) : bounds_(bounds) {}
    void configure(Bounds bounds) { bounds_ = bounds; }

    // Held by a connection as long as it lives. One of a connection cannot be two, not for a moment: another
    // connection would be refused.
    class Seat {
    public:
        Seat() = default;
        Seat(Seat&&) = default;
        Seat& operator=(Seat&&) = default;
        explicit operator bool() const { return entry_ != nullptr; }

    private:
        friend AddressLimits;
        explicit Seat(std::shared_ptr<TokenBucket> entry) : entry_(std::move(entry)) {}
        std::shared_ptr<TokenBucket> entry_; // its use count is the number of its seats, and one
    };

    // None when the address has all the connections that it may have.
    Seat take_seat(const Address& address);
    // False when it asks more often than it may: at the most 5 seconds' handshakes at once.
    bool take_handshake(const Address& address, int64_t now_us);

    // Forgets addresses without a connection or a handshake of late. About once a second.
    void tidy(int64_t now_us);
    size_t addresses() const { return entries_.size(); }

private:
    // Of its handshakes; every seat shares it.
    using Entry = std::shared_ptr<TokenBucket>;
    std::map<Address, Entry> entries_;
    Bounds bounds_;

    Entry& entry(const Address& address);
};

} // namespace odoo_bus
